package cpu

import (
	"slices"
	"sync"
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
	// product is the memory for products of either package.
	product sgemm.Scratch
}

// sized returns n elements of *buf with undefined contents. It grows *buf if necessary.
func sized[E any](buf *[]E, n int) []E {
	if cap(*buf) < n {
		*buf = make([]E, n)
	}
	return (*buf)[:n]
}

// rowsOf returns the number of rows of c elements in a chunk.
func rowsOf(c int) int { return max(1, chunkElems/max(c, 1)) }

// each calls f(w, lo, hi) for all chunks [lo, hi) of [0, n). Calls that run at the same time have different w <
// workers. n and chunk determine the chunks; the scheduler only decides which worker takes which.
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

// stages calls do(w, stage, part) for every stage and every part below parts(stage), on all workers. Calls that run
// at the same time have different w < workers. All parts of a stage are done before the next stage begins.
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

// barrier makes workers wait until all of them have reached it.
type barrier struct {
	sync.Mutex
	all           sync.Cond // signalled when the last worker arrives
	workers, here int
	meeting       int // how often all workers have met
}

// wait returns when every worker has called it the same number of times.
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
