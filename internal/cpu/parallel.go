package cpu

import (
	"sync"
	"sync/atomic"
)

const (
	// chunkElems is the work of one chunk of an elementwise op: long against
	// the microseconds that waking a goroutine costs, short enough to balance
	// a few rows among the workers.
	chunkElems = 16384
	// chunkCols is the columns of one chunk of a sum over rows: whole cache
	// lines, and sums that fit in L1.
	chunkCols = 64
	// chunkRows is how many rows such a sum adds in T before it goes on in
	// float64: a fraction of the conversions, and the accuracy of nearly all.
	chunkRows = 64
)

// scratch is what one worker keeps between calls. It grows to the largest
// call seen.
type scratch[T Float] struct {
	mask []T // multipliers of dropout
	a, b []T
}

// sized returns n elements of *buf with undefined contents, growing it if
// need be.
func sized[E any](buf *[]E, n int) []E {
	if cap(*buf) < n {
		*buf = make([]E, n)
	}
	return (*buf)[:n]
}

// rowsOf returns how many rows of c elements make a chunk.
func rowsOf(c int) int { return max(1, chunkElems/max(c, 1)) }

// each calls f(w, lo, hi) for chunks [lo, hi) of [0, n), where w < workers is
// the same in no two calls at one time. Chunks are fixed by n and chunk; only
// who takes which is left to the scheduler.
func (d *Device[T]) each(n, chunk int, f func(w, lo, hi int)) {
	chunks := (n + chunk - 1) / chunk
	workers := min(d.workers, chunks)
	if workers <= 1 {
		for c := range chunks {
			f(0, c*chunk, min(n, (c+1)*chunk))
		}
		return
	}
	var next atomic.Int64
	run := func(w int) {
		for {
			c := int(next.Add(1)) - 1
			if c >= chunks {
				return
			}
			f(w, c*chunk, min(n, (c+1)*chunk))
		}
	}
	var wait sync.WaitGroup
	for w := 1; w < workers; w++ {
		wait.Go(func() { run(w) })
	}
	run(0)
	wait.Wait()
}
