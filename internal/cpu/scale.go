package cpu

import (
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/vector"
)

// ScaleCols computes dst = about + (x - about) v times.
func (d *Device[T]) ScaleCols(dst, x, v compute.Tensor, o compute.ScaleOpts) {
	if d.err != nil {
		return
	}
	out, in, about := Data[T](dst), Data[T](x), Data[T](o.About)
	factor := d.factors(Data[T](v), Data[T](o.Times))
	cols := len(factor)
	d.each(x.Shape.Rows(), rowsOf(cols), func(_, lo, hi int) {
		for n := lo; n < hi; n++ {
			o, row := out[n*cols:(n+1)*cols], in[n*cols:(n+1)*cols]
			if about == nil {
				vector.Mul(o, row, factor)
				continue
			}
			for c, b := range about {
				o[c] = b + (row[c]-b)*factor[c]
			}
		}
	})
}

// ScaleColsGrad computes the gradient of ScaleCols.
func (d *Device[T]) ScaleColsGrad(dx, dv, x, v, dy compute.Tensor, o compute.ScaleOpts) {
	if dv.Present() {
		d.scaleGrad(dv, x, dy, o)
	}
	if dx.Present() {
		d.ScaleCols(dx, dy, v, compute.ScaleOpts{Times: o.Times})
	}
}

// scaleGrad computes dv[c] += times[c] (sum over n of dy[n,c] (x[n,c] - about[c])). The columns are divided among the
// workers.
func (d *Device[T]) scaleGrad(dv, x, dy compute.Tensor, o compute.ScaleOpts) {
	if d.err != nil {
		return
	}
	out, in, g := Data[T](dv), Data[T](x), Data[T](dy)
	times, about := Data[T](o.Times), Data[T](o.About)
	cols := len(out)
	d.each(cols, chunkCols, func(_, lo, hi int) {
		var total [chunkCols]float64
		var part, zero [chunkCols]T
		sum, acc, b := total[:hi-lo], part[:hi-lo], zero[:hi-lo]
		if about != nil {
			b = about[lo:hi]
		}
		forRowBlocks(x.Shape.Rows(), func(n0, n1 int) {
			clear(acc)
			for n := n0; n < n1; n++ {
				row, slope := in[n*cols+lo:n*cols+hi], g[n*cols+lo:n*cols+hi]
				for c := range acc {
					acc[c] += slope[c] * (row[c] - b[c])
				}
			}
			flush(sum, acc)
		})
		if times != nil {
			for c := range sum {
				sum[c] *= float64(times[lo+c])
			}
		}
		addTo(out[lo:hi], sum)
	})
}

// factors returns v times, or v itself if times is nil.
func (d *Device[T]) factors(v, times []T) []T {
	if times == nil {
		return v
	}
	f := sized(&d.partial, len(v))
	vector.Mul(f, v, times)
	return f
}
