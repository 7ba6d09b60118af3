package team

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// TestStages: every part of every stage runs once, after all parts of the stage before, however many workers there are,
// whether they spin or sleep, and in many jobs after one another.
func TestStages(t *testing.T) {
	for _, workers := range []int{1, 2, 3, 9} {
		for _, spins := range []int{0, 1, patience} {
			team := New(workers)
			team.spins = spins
			for job := range 200 {
				const stages = 5
				parts := func(stage int) int { return (stage + job) % 4 * 3 }
				var done [stages]atomic.Int64
				team.Stages(workers, stages, parts, func(w, stage, part int) {
					if w < 0 || w >= workers || part < 0 || part >= parts(stage) {
						t.Errorf("worker %d gets part %d of stage %d", w, part, stage)
					}
					if stage > 0 && done[stage-1].Load() != int64(parts(stage-1)) {
						t.Errorf("stage %d begins when %d of %d parts are done", stage, done[stage-1].Load(), parts(stage-1))
					}
					if part == job%5 {
						runtime.Gosched()
					}
					done[stage].Add(1)
				})
				for stage := range done {
					if got := done[stage].Load(); got != int64(parts(stage)) {
						t.Fatalf("%d workers, %d spins: %d parts of stage %d are done; want %d", workers, spins, got, stage,
							parts(stage))
					}
				}
			}
			team.Stop()
		}
	}
}

// TestLateHelper: Do returns only after the helpers that have begun, and does not wait for those that have not.
func TestLateHelper(t *testing.T) {
	team := New(2)
	begun, proceed := make(chan bool), make(chan bool)
	var finished atomic.Bool
	go func() {
		<-begun
		time.Sleep(time.Millisecond)
		close(proceed)
	}()
	team.Do(2, func(w int) {
		if w == 0 {
			<-begun
			return
		}
		close(begun)
		<-proceed
		finished.Store(true)
	})
	if !finished.Load() {
		t.Error("Do has returned while a helper was at work")
	}
	for range 1000 { // most of these are over before the helper begins
		team.Do(2, func(int) {})
	}
	team.Stop()
}

// TestStop: the helpers end, and hold nothing of the last job.
func TestStop(t *testing.T) {
	before := runtime.NumGoroutine()
	team := New(4)
	freed := make(chan bool)
	func() {
		big := new([1 << 20]byte)
		runtime.AddCleanup(big, func(c chan bool) { close(c) }, freed)
		team.Do(4, func(w int) { big[w] = 1 })
	}()
	deadline := time.After(time.Minute)
	for done := false; !done; {
		runtime.GC()
		select {
		case <-freed:
			done = true
		case <-deadline:
			t.Fatal("a team between two jobs holds what the last one used")
		default:
		}
	}
	team.Stop()
	for runtime.NumGoroutine() > before {
		select {
		case <-deadline:
			t.Fatalf("%d goroutines remain", runtime.NumGoroutine()-before)
		default:
			runtime.Gosched()
		}
	}
}

// TestStopWithin: a team may be stopped while an op runs, since the device can be collected during its last one.
func TestStopWithin(t *testing.T) {
	before := runtime.NumGoroutine()
	team := New(4)
	team.Do(4, func(w int) {
		if w == 0 {
			team.Stop()
		}
	})
	deadline := time.After(time.Minute)
	for runtime.NumGoroutine() > before {
		select {
		case <-deadline:
			t.Fatalf("%d goroutines remain", runtime.NumGoroutine()-before)
		default:
			runtime.Gosched()
		}
	}
}
