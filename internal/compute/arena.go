package compute

import "math/bits"

// Arena hands out offsets in one block of memory that is emptied every step. It is a bump allocator with a free list
// for each size class, which is enough for a network whose layers are all alike. All devices use it, so that
// compute/nulldev predicts the bytes of a real device exactly. Because sizes are rounded up to classes, steps of
// nearly equal token counts have their tensors at the same offsets, and a recording of one step can be replayed for
// another.
type Arena struct {
	top, peak int64
	free      map[int64][]int64
}

// Align is the alignment of every offset in bytes. It is two cache lines, and a multiple of the 16 bytes that vector
// loads of a GPU need.
const Align = 128

// Class returns the size of a block for n bytes: n rounded up to a multiple of Align, or of a sixteenth of the
// largest power of two that is at most n, whichever is larger. Above 16 Align at most a sixteenth is lost.
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

// Free makes the block of n bytes at off available to later calls of Alloc for the same class.
func (a *Arena) Free(off, n int64) {
	if a.free == nil {
		a.free = map[int64][]int64{}
	}
	n = Class(n)
	a.free[n] = append(a.free[n], off)
}

// Reset frees all blocks.
func (a *Arena) Reset() {
	a.top = 0
	clear(a.free)
}

// Peak returns the largest number of bytes that any step so far needed.
func (a *Arena) Peak() int64 { return a.peak }
