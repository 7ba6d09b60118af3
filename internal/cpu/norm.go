package cpu

import (
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/vector"
)

// LayerNorm computes sum = residual + dropout(x) and normalises it.
func (d *Device[T]) LayerNorm(o compute.LayerNormArgs) {
	if d.err != nil {
		return
	}
	out, total, st := Data[T](o.Dst), Data[T](o.Sum), Data[T](o.Stats)
	in, res := Data[T](o.X), Data[T](o.Residual)
	gain, shift, eps := Data[T](o.Gamma), Data[T](o.Beta), o.Eps
	cols := o.X.Shape.Cols()
	mask := vector.NewDropMask[T](o.Drop)
	d.each(o.X.Shape.Rows(), rowsOf(cols), func(w, lo, hi int) {
		mul := d.maskOf(w, cols)
		for n := lo; n < hi; n++ {
			row := in[n*cols : (n+1)*cols]
			if res != nil {
				r, s := res[n*cols:(n+1)*cols], total[n*cols:(n+1)*cols]
				if mask.Active() {
					mask.Row(mul, n)
					vector.AddMul(s, r, row, mul)
				} else {
					vector.Add(s, r, row)
				}
				row = s
			}
			mean, rstd := vector.Moments(row, eps)
			st[2*n], st[2*n+1] = mean, rstd
			vector.Normalise(out[n*cols:(n+1)*cols], row, gain, shift, mean, rstd)
		}
	})
}

// LayerNormGrad computes the gradient of LayerNorm:
//
//	g = dy gamma,  h = (sum - mean) rstd
//	dresidual = rstd (g - mean(g) - h mean(g h)),  dx = mask dresidual / (1-p)
func (d *Device[T]) LayerNormGrad(o compute.LayerNormGradArgs) {
	if d.err != nil {
		return
	}
	gx, gr := Data[T](o.DX), Data[T](o.DResidual)
	in, gain, st, g := Data[T](o.Sum), Data[T](o.Gamma), Data[T](o.Stats), Data[T](o.DY)
	rows, cols := o.Sum.Shape.Rows(), o.Sum.Shape.Cols()
	mask := vector.NewDropMask[T](o.Drop)
	if gx != nil || gr != nil {
		d.each(rows, rowsOf(cols), func(w, lo, hi int) {
			mul := d.maskOf(w, cols)
			for n := lo; n < hi; n++ {
				i, j := n*cols, (n+1)*cols
				out := gr
				if out == nil {
					out = gx
				}
				vector.NormGrad(out[i:j], in[i:j], gain, g[i:j], st[2*n], st[2*n+1])
				switch {
				case gx == nil:
				case mask.Active():
					mask.Row(mul, n)
					vector.Mul(gx[i:j], out[i:j], mul)
				case gr != nil:
					copy(gx[i:j], out[i:j])
				}
			}
		})
	}
	if o.DGamma.Present() || o.DBeta.Present() {
		d.normParamGrad(Data[T](o.DGamma), Data[T](o.DBeta), in, st, g, rows, cols)
	}
}

// normParamGrad adds sum over n of dy h to dgamma and sum over n of dy to dbeta. Either may be nil. The columns are
// divided among the workers.
func (d *Device[T]) normParamGrad(dgamma, dbeta, x, stats, dy []T, rows, cols int) {
	d.each(cols, chunkCols, func(_, lo, hi int) {
		var totalG, totalB [chunkCols]float64
		var partG, partB [chunkCols]T
		n := hi - lo
		sumG, sumB, accG, accB := totalG[:n], totalB[:n], partG[:n], partB[:n]
		forRowBlocks(rows, func(n0, n1 int) {
			clear(accG)
			clear(accB)
			for r := n0; r < n1; r++ {
				vector.NormParamGrad(accG, accB, x[r*cols+lo:r*cols+hi], dy[r*cols+lo:r*cols+hi], stats[2*r], stats[2*r+1])
			}
			flush(sumG, accG)
			flush(sumB, accB)
		})
		if dgamma != nil {
			addTo(dgamma[lo:hi], sumG)
		}
		if dbeta != nil {
			addTo(dbeta[lo:hi], sumB)
		}
	})
}
