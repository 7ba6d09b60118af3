package cpu

import (
	"math"

	"github.com/lor2c/lor2c/internal/compute"
)

// RMSNorm computes dst = x rstd gamma.
func (d *Device[T]) RMSNorm(dst, rstd, x, gamma compute.Tensor, eps float32) {
	if d.err != nil {
		return
	}
	out, st, in, gain := Data[T](dst), Data[T](rstd), Data[T](x), Data[T](gamma)
	cols := x.Shape.Cols()
	d.each(x.Shape.Rows(), rowsOf(cols), func(_, lo, hi int) {
		for n := lo; n < hi; n++ {
			row, o := in[n*cols:(n+1)*cols], out[n*cols:(n+1)*cols]
			r := T(1 / math.Sqrt(float64(dot(row, row))/float64(cols)+float64(eps)))
			st[n] = r
			for i, v := range row {
				o[i] = v * r * gain[i]
			}
		}
	})
}

// RMSNormGrad computes the gradient of RMSNorm: with g = dy gamma and h = x rstd,
//
//	dx = rstd (g - h mean(g h)),  dgamma += sum over n of dy h
func (d *Device[T]) RMSNormGrad(dx, dgamma, x, gamma, rstd, dy compute.Tensor, accumulate bool) {
	if d.err != nil {
		return
	}
	gx, in, gain, st, g := Data[T](dx), Data[T](x), Data[T](gamma), Data[T](rstd), Data[T](dy)
	rows, cols := x.Shape.Rows(), x.Shape.Cols()
	if gx != nil {
		d.each(rows, rowsOf(cols), func(w, lo, hi int) {
			scaled := sized(&d.scratch[w].a, cols)
			for n := lo; n < hi; n++ {
				i, j := n*cols, (n+1)*cols
				mulRow(scaled, g[i:j], gain)
				r, row, o := st[n], in[i:j], gx[i:j]
				slope := dot(scaled, row) / T(cols) * r * r
				if !accumulate {
					clear(o)
				}
				for c, v := range scaled {
					o[c] += r * (v - row[c]*slope)
				}
			}
		})
	}
	if dgamma.Present() {
		d.gainGrad(Data[T](dgamma), in, st, g, rows, cols)
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
				r := rstd[n]
				g, v := dy[n*cols+lo:n*cols+hi], x[n*cols+lo:n*cols+hi]
				for c := range acc {
					acc[c] += g[c] * (v[c] * r)
				}
			}
			flush(sum, acc)
		})
		addTo(dgamma[lo:hi], sum)
	})
}
