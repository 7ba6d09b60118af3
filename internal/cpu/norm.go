package cpu

import (
	"math"

	"github.com/lor2c/lor2c/internal/compute"
)

// LayerNorm computes sum = residual + dropout(x) and normalises it.
func (d *Device[T]) LayerNorm(
	dst, sum, stats, x, residual, gamma, beta compute.Tensor, eps float32, drop compute.Dropout,
) {
	if d.err != nil {
		return
	}
	out, total, st := Data[T](dst), Data[T](sum), Data[T](stats)
	in, res := Data[T](x), Data[T](residual)
	gain, shift := Data[T](gamma), Data[T](beta)
	cols := x.Shape.Cols()
	mask := newDropMask[T](drop)
	d.each(x.Shape.Rows(), rowsOf(cols), func(w, lo, hi int) {
		mul := d.maskOf(w, cols)
		for n := lo; n < hi; n++ {
			row := in[n*cols : (n+1)*cols]
			if res != nil {
				r, s := res[n*cols:(n+1)*cols], total[n*cols:(n+1)*cols]
				if mask.active() {
					mask.row(mul, drop.Row+uint32(n))
					addMasked(s, r, row, mul)
				} else {
					add(s, r, row)
				}
				row = s
			}
			mean, rstd := moments(row, eps)
			st[2*n], st[2*n+1] = mean, rstd
			normalise(out[n*cols:(n+1)*cols], row, gain, shift, mean, rstd)
		}
	})
}

// add computes dst = a + b.
func add[T Float](dst, a, b []T) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] + b[i]
	}
}

// addMasked computes dst = a + b mul. dst may be a or b.
func addMasked[T Float](dst, a, b, mul []T) {
	a, b, mul = a[:len(dst)], b[:len(dst)], mul[:len(dst)]
	for i := range dst {
		dst[i] = a[i] + b[i]*mul[i]
	}
}

// moments returns the mean of x and 1/sqrt(var + eps). The variance is computed in a second pass, because sums of
// squares cancel if the mean is large. Each pass has four independent sums.
func moments[T Float](x []T, eps float32) (mean, rstd T) {
	var s0, s1, s2, s3 T
	y := x
	for len(y) >= 4 {
		s0 += y[0]
		s1 += y[1]
		s2 += y[2]
		s3 += y[3]
		y = y[4:]
	}
	for _, v := range y {
		s0 += v
	}
	mean = ((s0 + s1) + (s2 + s3)) / T(len(x))
	s0, s1, s2, s3 = 0, 0, 0, 0
	y = x
	for len(y) >= 4 {
		a, b, c, e := y[0]-mean, y[1]-mean, y[2]-mean, y[3]-mean
		s0 += a * a
		s1 += b * b
		s2 += c * c
		s3 += e * e
		y = y[4:]
	}
	for _, v := range y {
		s0 += (v - mean) * (v - mean)
	}
	variance := float64((s0+s1)+(s2+s3)) / float64(len(x))
	return mean, T(1 / math.Sqrt(variance+float64(eps)))
}

// normalise computes dst = (x - mean) rstd gamma + beta.
func normalise[T Float](dst, x, gamma, beta []T, mean, rstd T) {
	x, gamma, beta = x[:len(dst)], gamma[:len(dst)], beta[:len(dst)]
	for i := range dst {
		dst[i] = (x[i]-mean)*rstd*gamma[i] + beta[i]
	}
}

// LayerNormGrad computes the gradient of LayerNorm:
//
//	g = dy gamma,  h = (sum - mean) rstd
//	dresidual = rstd (g - mean(g) - h mean(g h)),  dx = mask dresidual / (1-p)
func (d *Device[T]) LayerNormGrad(
	dx, dresidual, dgamma, dbeta, sum, gamma, stats, dy compute.Tensor, drop compute.Dropout,
) {
	if d.err != nil {
		return
	}
	gx, gr := Data[T](dx), Data[T](dresidual)
	in, gain, st, g := Data[T](sum), Data[T](gamma), Data[T](stats), Data[T](dy)
	rows, cols := sum.Shape.Rows(), sum.Shape.Cols()
	mask := newDropMask[T](drop)
	if gx != nil || gr != nil {
		d.each(rows, rowsOf(cols), func(w, lo, hi int) {
			mul := d.maskOf(w, cols)
			for n := lo; n < hi; n++ {
				i, j := n*cols, (n+1)*cols
				out := gr
				if out == nil {
					out = gx
				}
				normRowGrad(out[i:j], in[i:j], gain, g[i:j], st[2*n], st[2*n+1])
				switch {
				case gx == nil:
				case mask.active():
					mask.row(mul, drop.Row+uint32(n))
					mulRow(gx[i:j], out[i:j], mul)
				case gr != nil:
					copy(gx[i:j], out[i:j])
				}
			}
		})
	}
	if dgamma.Present() || dbeta.Present() {
		d.normParamGrad(Data[T](dgamma), Data[T](dbeta), in, st, g, rows, cols)
	}
}

// normRowGrad computes one row of dresidual.
func normRowGrad[T Float](dst, x, gamma, dy []T, mean, rstd T) {
	n := len(dst)
	x, gamma, dy = x[:n], gamma[:n], dy[:n]
	var g0, g1, h0, h1 T
	i := 0
	for ; i+1 < n; i += 2 {
		a, b := dy[i]*gamma[i], dy[i+1]*gamma[i+1]
		g0 += a
		g1 += b
		h0 += a * (x[i] - mean)
		h1 += b * (x[i+1] - mean)
	}
	if i < n {
		a := dy[i] * gamma[i]
		g0 += a
		h0 += a * (x[i] - mean)
	}
	meanG := (g0 + g1) / T(n)
	slope := (h0 + h1) / T(n) * rstd * rstd
	for i := range dst {
		dst[i] = rstd * (dy[i]*gamma[i] - meanG - (x[i]-mean)*slope)
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
				mean, rstd := stats[2*r], stats[2*r+1]
				g, v := dy[r*cols+lo:r*cols+hi], x[r*cols+lo:r*cols+hi]
				accB, v, g := accB[:len(accG)], v[:len(accG)], g[:len(accG)]
				for c := range accG {
					accG[c] += g[c] * ((v[c] - mean) * rstd)
					accB[c] += g[c]
				}
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
