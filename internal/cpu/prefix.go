package cpu

import (
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/vector"
)

// PrependRows writes the rows of prefix before the rows of each sequence.
func (d *Device[T]) PrependRows(dst, prefix, x, cu compute.Tensor) {
	if d.err != nil {
		return
	}
	out, first, in := Data[T](dst), Data[T](prefix), Data[T](x)
	cols := prefix.Shape.Cols()
	d.sequences(cu, len(first), cols, func(lo, hi, at int) {
		copy(out[at:], first)
		copy(out[at+len(first):], in[lo:hi])
	})
}

// PrependRowsGrad computes the gradient of PrependRows.
func (d *Device[T]) PrependRowsGrad(dx, dprefix, dy, cu compute.Tensor) {
	if d.err != nil {
		return
	}
	gx, gp, g := Data[T](dx), Data[T](dprefix), Data[T](dy)
	rows, cols := ints[T](cu), dy.Shape.Cols()
	last := len(rows) - 1
	size := len(g) - int(rows[last])*cols // elements of all prefixes
	if last > 0 {
		size /= last
	}
	if gx != nil {
		d.sequences(cu, size, cols, func(lo, hi, at int) { copy(gx[lo:hi], g[at+size:]) })
	}
	d.each(len(gp), chunkElems, func(_, lo, hi int) {
		for s, row := range rows[:last] {
			at := int(row)*cols + s*size
			vector.Add(gp[lo:hi], gp[lo:hi], g[at+lo:at+hi])
		}
	})
}

// sequences calls f for every sequence: its elements are [lo, hi) in the rows whose cu_seqlens are given, and begin at
// `at` in rows where the sequence follows a prefix of size elements.
func (d *Device[T]) sequences(cu compute.Tensor, size, cols int, f func(lo, hi, at int)) {
	rows := ints[T](cu)
	d.each(len(rows)-1, 1, func(_, s, _ int) {
		lo, hi := int(rows[s])*cols, int(rows[s+1])*cols
		f(lo, hi, lo+s*size)
	})
}
