package vector

import "github.com/lor2c/lor2c/internal/compute"

// DropMask draws rows of multipliers for a compute.Dropout.
type DropMask[T Float] struct {
	drop      compute.Dropout
	threshold uint32
	mul       [2]T // multipliers of a kept and of a dropped element
	keys      [10][2]uint32
}

// NewDropMask returns the mask of a compute.Dropout.
func NewDropMask[T Float](drop compute.Dropout) DropMask[T] {
	return DropMask[T]{
		drop: drop, threshold: drop.Threshold(), mul: [2]T{T(drop.Scale()), 0}, keys: compute.PhiloxKeys(drop.Key),
	}
}

// Active reports whether the mask drops anything.
func (m *DropMask[T]) Active() bool { return m.threshold > 0 }

// Row fills dst with the multipliers of columns [0, len(dst)) of row n of the tensor that the compute.Dropout belongs
// to. The capacity of dst must be at least len(dst) rounded up to a multiple of 8.
func (m *DropMask[T]) Row(dst []T, n int) { m.RowAt(dst, m.drop.Row+uint32(n)) }

// RowAt does the same for a row that is counted from the start of the optimizer step.
func (m *DropMask[T]) RowAt(dst []T, row uint32) {
	dst = dst[:RoundUp8(len(dst))]
	if vectorised[T](len(dst)) {
		dropMask32(len(dst)/8, first(dst), &m.keys[0][0], row, m.drop.Site, m.drop.Step, m.threshold, float32(m.mul[0]))
		return
	}
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

// RoundUp8 returns the least multiple of 8 that is at least n.
func RoundUp8(n int) int { return (n + 7) &^ 7 }
