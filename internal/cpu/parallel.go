package cpu

import (
	"sync/atomic"

	"github.com/lor2c/lor2c/internal/sgemm"
)

const (
	// chunkElems is the number of elements in one chunk of an elementwise op. A chunk takes much longer than the
	// microseconds to wake a goroutine, and is short enough to distribute a few rows evenly among the workers.
	chunkElems = 16384
	// chunkCols is the number of columns in one chunk of a sum over rows. They are whole cache lines, and their sums
	// fit in L1.
	chunkCols = 64
	// chunkRows is the number of rows that such a sum adds in T before it adds the result in float64. That needs few
	// conversions and is nearly as accurate as adding everything in float64.
	chunkRows = 64
)

// scratch is the memory that one worker keeps between calls. It grows to the size of the largest call so far.
type scratch[T Float] struct {
	mask []T // multipliers of dropout
	a, b []T
	bias []T // bias of attention by distance, and its gradient
	// product is the memory for products of either package.
	product sgemm.Scratch
	// panel is a packed panel of a product on the tile unit.
	panel []uint16
}

// sized returns n elements of *buf with undefined contents. It grows *buf if necessary.
func sized[E any](buf *[]E, n int) []E {
	if cap(*buf) < n {
		*buf = make([]E, n)
	}
	return (*buf)[:n]
}

// ceil returns n/d, rounded up.
func ceil(n, d int) int { return (n + d - 1) / d }

// rowsOf returns the number of rows of c elements in a chunk.
func rowsOf(c int) int { return max(1, chunkElems/max(c, 1)) }

// each calls f(w, lo, hi) for all chunks [lo, hi) of [0, n). Calls that run at the same time have different w <
// workers. n and chunk determine the chunks; the scheduler only decides which worker takes which.
func (d *Device[T]) each(n, chunk int, f func(w, lo, hi int)) {
	chunks := ceil(n, chunk)
	workers := min(d.workers, chunks)
	if workers <= 1 {
		for c := range chunks {
			f(0, c*chunk, min(n, (c+1)*chunk))
		}
		return
	}
	var next atomic.Int64
	d.team.Do(workers, func(w int) {
		for c := int(next.Add(1)) - 1; c < chunks; c = int(next.Add(1)) - 1 {
			f(w, c*chunk, min(n, (c+1)*chunk))
		}
	})
}
