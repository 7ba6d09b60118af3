package cpu

import (
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/vector"
)

// maskOf returns worker w's buffer for the multipliers of n columns.
func (d *Device[T]) maskOf(w, n int) []T {
	return sized(&d.scratch[w].mask, vector.RoundUp8(n))[:n]
}

// Dropout computes dst = mask x / (1-p).
func (d *Device[T]) Dropout(dst, x compute.Tensor, drop compute.Dropout) {
	if d.err != nil {
		return
	}
	m := vector.NewDropMask[T](drop)
	if !m.Active() {
		d.Copy(dst, x)
		return
	}
	out, in := Data[T](dst), Data[T](x)
	cols := x.Shape.Cols()
	d.each(x.Shape.Rows(), rowsOf(cols), func(w, lo, hi int) {
		mask := d.maskOf(w, cols)
		for n := lo; n < hi; n++ {
			m.Row(mask, n)
			vector.Mul(out[n*cols:(n+1)*cols], in[n*cols:(n+1)*cols], mask)
		}
	})
}
