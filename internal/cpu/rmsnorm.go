package cpu

import (
	"math"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/vector"
)

// RMSNorm computes dst = x rstd gamma.
func (d *Device[T]) RMSNorm(o compute.RMSNormArgs) {
	if d.err != nil {
		return
	}
	out, st, in, gain, eps := Data[T](o.Dst), Data[T](o.RStd), Data[T](o.X), Data[T](o.Gamma), o.Eps
	cols := o.X.Shape.Cols()
	d.each(o.X.Shape.Rows(), rowsOf(cols), func(_, lo, hi int) {
		for n := lo; n < hi; n++ {
			row := in[n*cols : (n+1)*cols]
			r := T(1 / math.Sqrt(float64(vector.Dot(row, row))/float64(cols)+float64(eps)))
			st[n] = r
			vector.ScaleMul(out[n*cols:(n+1)*cols], r, row, gain)
		}
	})
}

// RMSNormGrad computes the gradient of RMSNorm: with g = dy gamma and h = x rstd,
//
//	dx = rstd (g - h mean(g h)),  dgamma += sum over n of dy h
func (d *Device[T]) RMSNormGrad(o compute.RMSNormGradArgs) {
	if d.err != nil {
		return
	}
	gx, in, gain, st, g := Data[T](o.DX), Data[T](o.X), Data[T](o.Gamma), Data[T](o.RStd), Data[T](o.DY)
	rows, cols, accumulate := o.X.Shape.Rows(), o.X.Shape.Cols(), o.Accumulate
	if gx != nil {
		d.each(rows, rowsOf(cols), func(w, lo, hi int) {
			sum := sized(&d.scratch[w].a, cols)
			for n := lo; n < hi; n++ {
				i, j := n*cols, (n+1)*cols
				if !accumulate {
					vector.RMSNormGrad(gx[i:j], in[i:j], gain, g[i:j], st[n])
					continue
				}
				vector.RMSNormGrad(sum, in[i:j], gain, g[i:j], st[n])
				vector.Add(gx[i:j], gx[i:j], sum)
			}
		})
	}
	if o.DGamma.Present() {
		d.gainGrad(Data[T](o.DGamma), in, st, g, rows, cols)
	}
}

// gainGrad computes dgamma[c] += sum over n of dy[n,c] x[n,c] rstd[n]. The columns are divided among the workers.
func (d *Device[T]) gainGrad(dgamma, x, rstd, dy []T, rows, cols int) {
	d.each(cols, chunkCols, func(_, lo, hi int) {
		var total [chunkCols]float64
		var part [chunkCols]T
		sum, acc := total[:hi-lo], part[:hi-lo]
		forRowBlocks(rows, func(n0, n1 int) {
			clear(acc)
			for n := n0; n < n1; n++ {
				vector.AddScaleMul(acc, rstd[n], x[n*cols+lo:n*cols+hi], dy[n*cols+lo:n*cols+hi])
			}
			flush(sum, acc)
		})
		addTo(dgamma[lo:hi], sum)
	})
}
