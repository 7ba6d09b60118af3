package cpu

import (
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/nf4"
	"github.com/lor2c/lor2c/internal/vector"
)

// Fill sets every element to v.
func (d *Device[T]) Fill(dst compute.Tensor, v float32) {
	if d.err != nil {
		return
	}
	out := Data[T](dst)
	d.each(len(out), chunkElems, func(_, lo, hi int) {
		o := out[lo:hi]
		for i := range o {
			o[i] = T(v)
		}
	})
}

// Copy copies src to dst.
func (d *Device[T]) Copy(dst, src compute.Tensor) {
	if d.err != nil {
		return
	}
	if src.DType == compute.Int {
		copy(ints[T](dst), ints[T](src))
		return
	}
	out := Data[T](dst)
	if src.DType == compute.NF4 {
		w := frozen[T](src)
		codes, scales := w.FourBit()
		d.each(len(out), chunkElems, func(_, lo, hi int) {
			if single[T]() {
				w.Dequantize(as32(out[lo:hi]), lo)
			} else {
				nf4.Dequantize(out[lo:hi], codes, scales, lo)
			}
		})
		return
	}
	if frozen[T](src) != nil {
		rows, cols := src.Shape[0], src.Shape[1]
		d.each(rows, rowsOf(cols), func(_, lo, hi int) {
			for i := lo; i < hi; i++ {
				readRow(out[i*cols:(i+1)*cols], src, i)
			}
		})
		return
	}
	in := Data[T](src)
	d.each(len(out), chunkElems, func(_, lo, hi int) { copy(out[lo:hi], in[lo:hi]) })
}

// Axpy computes dst += alpha x.
func (d *Device[T]) Axpy(dst compute.Tensor, alpha float32, x compute.Tensor) {
	if d.err != nil {
		return
	}
	out, in := Data[T](dst), Data[T](x)
	d.each(len(out), chunkElems, func(_, lo, hi int) { vector.Axpy(out[lo:hi], T(alpha), in[lo:hi]) })
}

// Act computes dst = act(pre).
func (d *Device[T]) Act(act compute.Act, dst, pre compute.Tensor) {
	if d.err != nil {
		return
	}
	out, in := Data[T](dst), Data[T](pre)
	d.each(len(out), chunkElems, func(_, lo, hi int) { activate(act, out[lo:hi], in[lo:hi]) })
}

// ActGrad computes dx = dy act'(pre).
func (d *Device[T]) ActGrad(act compute.Act, dx, pre, dy compute.Tensor) {
	if d.err != nil {
		return
	}
	out, in, g := Data[T](dx), Data[T](pre), Data[T](dy)
	d.each(len(out), chunkElems, func(_, lo, hi int) {
		activateGrad(act, out[lo:hi], in[lo:hi], g[lo:hi])
	})
}

// SumRows computes dst[c] += sum over n of x[n,c].
func (d *Device[T]) SumRows(dst, x compute.Tensor) {
	if d.err != nil {
		return
	}
	out, in := Data[T](dst), Data[T](x)
	cols := len(out)
	d.each(cols, chunkCols, func(_, lo, hi int) {
		var total [chunkCols]float64
		var part [chunkCols]T
		sum, acc := total[:hi-lo], part[:hi-lo]
		forRowBlocks(x.Shape.Rows(), func(n0, n1 int) {
			clear(acc)
			for n := n0; n < n1; n++ {
				vector.Add(acc, acc, in[n*cols+lo:n*cols+hi])
			}
			flush(sum, acc)
		})
		addTo(out[lo:hi], sum)
	})
}

// forRowBlocks calls f for blocks of at most chunkRows rows, in order.
func forRowBlocks(n int, f func(n0, n1 int)) {
	for n0 := 0; n0 < n; n0 += chunkRows {
		f(n0, min(n, n0+chunkRows))
	}
}

// flush adds the sums of one block of rows to the totals.
func flush[T Float](sum []float64, acc []T) {
	acc = acc[:len(sum)]
	for c := range sum {
		sum[c] += float64(acc[c])
	}
}

// addTo adds finished sums to a gradient.
func addTo[T Float](dst []T, sum []float64) {
	sum = sum[:len(dst)]
	for c := range dst {
		dst[c] += T(sum[c])
	}
}
