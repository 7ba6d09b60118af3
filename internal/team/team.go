// Package team divides work among goroutines. A [Team] runs the parts of an op on goroutines that wait for the next op
// instead of ending with one, because to start a goroutine on another thread takes longer than the product of one token
// with a matrix. [Each] is for longer work that is done once.
//
// A helper is not waited for before it begins: on a busy machine it may get a processor only when the others have done
// its share.
package team

import (
	"runtime"
	"slices"
	"sync/atomic"
)

// Team is a number of goroutines that help the one that calls Do or Stages. The zero value is not usable.
type Team struct {
	next       atomic.Pointer[job] // nil between two jobs
	spins      int                 // how often a goroutine looks for a change before it sleeps
	started    int                 // helpers that have been started
	jobs       uint64
	stages     []stage
	begin, end gate // helpers wait for a job, and the caller for helpers
	between    gate // all wait for the end of a stage
}

// job is what a team does together.
type job struct {
	id      uint64
	workers int
	work    func(w int)
	// inside is the number of helpers at work, plus closed when no more may begin.
	inside atomic.Int64
}

const closed = 1 << 32

// patience is the number of pauses for which a goroutine looks for a change, 0.02 to 0.1 ms. The gaps between the ops
// of a training step are shorter.
const patience = 2000

// New returns a team for at most the given number of workers. It starts goroutines when they are first needed; Stop
// ends them. If there are more workers than processors nobody spins, because that would take a processor from another
// worker.
func New(workers int) *Team {
	t := &Team{}
	if workers <= runtime.GOMAXPROCS(0) {
		t.spins = patience
	}
	for _, g := range []*gate{&t.begin, &t.end, &t.between} {
		g.changed.L = g
	}
	return t
}

// Do calls work(0), and on helpers work(w) for other w below workers. It calls work(w) only if the helper begins before
// work(0) returns. It returns when all calls have returned.
func (t *Team) Do(workers int, work func(w int)) {
	if workers <= 1 {
		work(0)
		return
	}
	for t.started < workers-1 {
		t.started++
		go t.help(t.started)
	}
	t.jobs++
	j := &job{id: t.jobs, workers: workers, work: work}
	t.next.Store(j)
	t.begin.signal()
	work(0)
	t.next.CompareAndSwap(j, nil) // Stop may have come in between
	j.inside.Add(closed)
	t.end.wait(t.spins, func() bool { return j.inside.Load() == closed })
}

// Stop ends the helpers. The team must not be used afterwards.
func (t *Team) Stop() {
	t.next.Store(&job{id: ^uint64(0)})
	t.begin.signal()
}

// help is the goroutine of helper w. Between jobs it holds none of them, so that the garbage collector can free what
// the last one used.
func (t *Team) help(w int) {
	for last := uint64(0); ; {
		var j *job
		t.begin.wait(t.spins, func() bool {
			j = t.next.Load()
			return j != nil && j.id > last
		})
		if j.work == nil {
			return
		}
		last = j.id
		if w < j.workers && j.enter() {
			j.work(w)
			if j.inside.Add(-1) == closed {
				t.end.signal()
			}
		}
	}
}

// enter reports whether a helper may begin, and counts it.
func (j *job) enter() bool {
	for n := j.inside.Load(); n < closed; n = j.inside.Load() {
		if j.inside.CompareAndSwap(n, n+1) {
			return true
		}
	}
	return false
}

// stage counts the parts of a stage.
type stage struct{ taken, done atomic.Int64 }

// Stages calls do(w, stage, part) for every stage below stages and every part below parts(stage). Calls that run at the
// same time have different w < workers. All parts of a stage are done before the next stage begins.
func (t *Team) Stages(workers, stages int, parts func(stage int) int, do func(w, stage, part int)) {
	t.stages = slices.Grow(t.stages[:0], stages)[:stages]
	for i := range t.stages {
		t.stages[i].taken.Store(0)
		t.stages[i].done.Store(0)
	}
	t.Do(workers, func(w int) {
		for i := range t.stages {
			s, n := &t.stages[i], int64(parts(i))
			for part := s.taken.Add(1) - 1; part < n; part = s.taken.Add(1) - 1 {
				do(w, i, int(part))
				if s.done.Add(1) == n {
					t.between.signal()
				}
			}
			if i < stages-1 {
				t.between.wait(t.spins, func() bool { return s.done.Load() >= n })
			}
		}
	})
}
