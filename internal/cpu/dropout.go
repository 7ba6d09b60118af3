package cpu

import "github.com/lor2c/lor2c/internal/compute"

// dropMask draws rows of multipliers for a compute.Dropout.
type dropMask[T Float] struct {
	drop      compute.Dropout
	threshold uint32
	mul       [2]T // multipliers of a kept and of a dropped element
}

func newDropMask[T Float](drop compute.Dropout) dropMask[T] {
	return dropMask[T]{drop: drop, threshold: drop.Threshold(), mul: [2]T{T(drop.Scale()), 0}}
}

// active reports whether the mask drops anything.
func (m *dropMask[T]) active() bool { return m.threshold > 0 }

// row fills dst with the multipliers of columns [0, len(dst)) of one row. Rows are counted from the start of the
// optimizer step. The capacity of dst must be at least len(dst) rounded up to a multiple of 8.
func (m *dropMask[T]) row(dst []T, row uint32) {
	dst = dst[:roundUp8(len(dst))]
	thr, mul := m.threshold, &m.mul
	for c := uint32(0); len(dst) >= 8; c++ {
		r0, r1, r2, r3 := compute.Philox(m.drop.Key, c, row, m.drop.Site, m.drop.Step)
		// The sign of lot - threshold selects the multiplier without a branch. A branch would be mispredicted at
		// every dropped element.
		dst[0] = mul[(r0&0xffff-thr)>>31]
		dst[1] = mul[(r0>>16-thr)>>31]
		dst[2] = mul[(r1&0xffff-thr)>>31]
		dst[3] = mul[(r1>>16-thr)>>31]
		dst[4] = mul[(r2&0xffff-thr)>>31]
		dst[5] = mul[(r2>>16-thr)>>31]
		dst[6] = mul[(r3&0xffff-thr)>>31]
		dst[7] = mul[(r3>>16-thr)>>31]
		dst = dst[8:]
	}
}

// roundUp8 returns the least multiple of 8 that is at least n.
func roundUp8(n int) int { return (n + 7) &^ 7 }

// maskOf returns worker w's buffer for the multipliers of n columns.
func (d *Device[T]) maskOf(w, n int) []T {
	return sized(&d.scratch[w].mask, roundUp8(n))[:n]
}

// Dropout computes dst = mask x / (1-p).
func (d *Device[T]) Dropout(dst, x compute.Tensor, drop compute.Dropout) {
	if d.err != nil {
		return
	}
	m := newDropMask[T](drop)
	if !m.active() {
		d.Copy(dst, x)
		return
	}
	out, in := Data[T](dst), Data[T](x)
	cols := x.Shape.Cols()
	d.each(x.Shape.Rows(), rowsOf(cols), func(w, lo, hi int) {
		mask := d.maskOf(w, cols)
		for n := lo; n < hi; n++ {
			m.row(mask, drop.Row+uint32(n))
			mulRow(out[n*cols:(n+1)*cols], in[n*cols:(n+1)*cols], mask)
		}
	})
}

// mulRow computes dst = x y, elementwise. dst may be either.
func mulRow[T Float](dst, x, y []T) {
	x, y = x[:len(dst)], y[:len(dst)]
	for i := range dst {
		dst[i] = x[i] * y[i]
	}
}
