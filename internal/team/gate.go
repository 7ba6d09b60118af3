package team

import (
	"sync"
	"sync/atomic"
)

// gate is where goroutines wait for what another one does. They spin for a while and then sleep.
type gate struct {
	sync.Mutex
	changed sync.Cond
	asleep  atomic.Int64
}

// wait returns when ready returns true. Whoever makes it true calls signal afterwards. A waiter counts itself among the
// sleepers before it looks for the last time, so that either it sees the change or signal sees it.
func (g *gate) wait(spins int, ready func() bool) {
	if ready() {
		return
	}
	for range spins {
		pause()
		if ready() {
			return
		}
	}
	g.Lock()
	g.asleep.Add(1)
	for !ready() {
		g.changed.Wait()
	}
	g.asleep.Add(-1)
	g.Unlock()
}

// signal wakes the sleepers.
func (g *gate) signal() {
	if g.asleep.Load() > 0 {
		g.Lock()
		g.changed.Broadcast()
		g.Unlock()
	}
}
