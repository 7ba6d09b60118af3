package compute

import "math/bits"

// Arena hands out offsets in one block of memory that is emptied every step:
// a bump allocator with free lists by size class, which is all that a network
// of equal layers needs. Devices share it, so that compute/nulldev predicts
// the bytes of a real one exactly; and steps of nearly as many tokens have
// their tensors in the same places, so that what was recorded of one fits the
// other.
type Arena struct {
	top, peak int64
	free      map[int64][]int64
}

// Align is the alignment in bytes of every offset: two cache lines, and what
// 16-byte vector loads of a GPU need.
const Align = 128

// Class returns the size of a block for n bytes: n rounded up to a multiple of
// Align or of a sixteenth of the largest power of two in it, whichever is more.
// Above 16 Align at most a sixteenth is lost.
func Class(n int64) int64 {
	n = max(n, 1)
	step := max(Align, int64(1)<<(bits.Len64(uint64(n))-1)/16)
	return (n + step - 1) / step * step
}

// Alloc returns the offset of a block of at least n bytes.
func (a *Arena) Alloc(n int64) int64 {
	n = Class(n)
	if l := a.free[n]; len(l) > 0 {
		a.free[n] = l[:len(l)-1]
		return l[len(l)-1]
	}
	off := a.top
	a.top += n
	a.peak = max(a.peak, a.top)
	return off
}

// Free returns a block of n bytes for the next Alloc of the same class.
func (a *Arena) Free(off, n int64) {
	if a.free == nil {
		a.free = map[int64][]int64{}
	}
	n = Class(n)
	a.free[n] = append(a.free[n], off)
}

// Reset frees everything.
func (a *Arena) Reset() {
	a.top = 0
	clear(a.free)
}

// Peak returns the bytes that the fullest step so far needed.
func (a *Arena) Peak() int64 { return a.peak }
