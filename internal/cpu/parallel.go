package cpu

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/lor2c/lor2c/internal/sgemm"
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
	// Packed factors of a product, and a tile at the edge of its destination.
	product           sgemm.Scratch
	left, right, tile []float32
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

// stages runs one stage after the other on all workers: do(w, stage, part) for every part below parts(stage), where
// w < workers is the same in no two calls at one time. All parts of a stage are done before the next stage begins.
func (d *Device[T]) stages(stages int, parts func(stage int) int, do func(w, stage, part int)) {
	d.claimed = slices.Grow(d.claimed[:0], stages)[:stages]
	for i := range d.claimed {
		d.claimed[i].Store(0)
	}
	meet := barrier{workers: d.workers}
	meet.all.L = &meet
	run := func(w int) {
		for stage := range stages {
			for n := parts(stage); ; {
				part := int(d.claimed[stage].Add(1)) - 1
				if part >= n {
					break
				}
				do(w, stage, part)
			}
			if d.workers > 1 {
				meet.wait()
			}
		}
	}
	var wait sync.WaitGroup
	for w := 1; w < d.workers; w++ {
		wait.Go(func() { run(w) })
	}
	run(0)
	wait.Wait()
}

// barrier lets workers wait until all of them have come.
type barrier struct {
	sync.Mutex
	all           sync.Cond // when the last worker has come
	workers, here int
	meeting       int // how often all have come
}

// wait returns once every worker has called it as often.
func (b *barrier) wait() {
	b.Lock()
	defer b.Unlock()
	if b.here++; b.here == b.workers {
		b.here = 0
		b.meeting++
		b.all.Broadcast()
		return
	}
	for now := b.meeting; now == b.meeting; {
		b.all.Wait()
	}
}
