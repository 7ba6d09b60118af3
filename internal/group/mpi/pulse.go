//go:build (mpi || cuda) && linux && (amd64 || arm64)

package mpi

import (
	"fmt"
	"sync/atomic"
	"time"
	"unsafe"
)

// beat is the time between two signs of life.
const beat = time.Second

// last is sent instead of a step by a rank that leaves the group.
const last = -1

// pulse exchanges signs of life: rank 0 with every other rank, and these with rank 0. MPI itself does not notice that a
// rank is stopped or that its host is gone.
type pulse struct {
	engine  *engine
	patient int64 // the number of beats that a rank may miss
	step    atomic.Int64
	peers   []*peer
	end     chan struct{} // closed to end run
	ended   chan struct{} // closed by run when it has ended
	failed  atomic.Pointer[error]
}

// peer is a rank whose signs of life are expected. Only the goroutine of run uses it, except for the atomics.
type peer struct {
	rank               int
	sending, receiving request
	out, in            [1]int64 // the messages: a step
	sent               bool     // a message is on its way
	missed             atomic.Int64
	reached            atomic.Int64 // the step of the last message
}

func newPulse(e *engine, silence time.Duration) *pulse {
	p := &pulse{engine: e, patient: int64(silence / beat), end: make(chan struct{}), ended: make(chan struct{})}
	ranks := e.size
	if e.rank > 0 {
		ranks = 1
	}
	for rank := range ranks {
		if rank != e.rank {
			p.peers = append(p.peers, &peer{rank: rank})
		}
	}
	return p
}

func (p *pulse) mark(step int) { p.step.Store(int64(step)) }

// run sends and receives until stop is called. A process that was stopped for a while and goes on has counted no beats
// meanwhile, so it does not take the others for silent.
func (p *pulse) run() {
	defer close(p.ended)
	for _, x := range p.peers {
		if err := p.receive(x); err != nil {
			p.failed.Store(&err)
			return
		}
	}
	clock := time.NewTicker(beat)
	defer clock.Stop()
	for {
		select {
		case <-p.end:
			return
		case <-clock.C:
		}
		for _, x := range p.peers {
			if err := p.exchange(x); err != nil {
				p.failed.Store(&err)
				return
			}
		}
	}
}

// exchange sends a sign of life to a peer, unless the last is still on its way, and counts beats since the peer's.
func (p *pulse) exchange(x *peer) error {
	heard, err := p.heard(x)
	if err != nil {
		return err
	}
	if heard {
		x.missed.Store(0)
		if x.in[0] == last {
			return nil
		}
		if err := p.receive(x); err != nil {
			return err
		}
	} else {
		x.missed.Add(1)
	}
	if x.sent {
		done, err := p.engine.done(&x.sending)
		if !done || err != nil {
			return err
		}
	}
	return p.send(x, p.step.Load())
}

// heard reports whether a message of the peer has arrived.
func (p *pulse) heard(x *peer) (bool, error) {
	if x.in[0] == last {
		return true, nil
	}
	done, err := p.engine.done(&x.receiving)
	if done && x.in[0] != last {
		x.reached.Store(x.in[0])
	}
	return done, err
}

func (p *pulse) receive(x *peer) error {
	l := p.engine.lib
	p.engine.mu.Lock()
	defer p.engine.mu.Unlock()
	return l.call(l.irecv, uintptr(unsafe.Pointer(&x.in)), 8, l.bytes, uintptr(x.rank), tagPulse, l.world,
		uintptr(unsafe.Pointer(&x.receiving)))
}

func (p *pulse) send(x *peer, step int64) error {
	x.out[0], x.sent = step, true
	l := p.engine.lib
	p.engine.mu.Lock()
	defer p.engine.mu.Unlock()
	return l.call(l.isend, uintptr(unsafe.Pointer(&x.out)), 8, l.bytes, uintptr(x.rank), tagPulse, l.world,
		uintptr(unsafe.Pointer(&x.sending)))
}

// fault returns an error if a peer is silent, or if signs of life could not be exchanged.
func (p *pulse) fault() error {
	if err := p.failed.Load(); err != nil {
		return *err
	}
	for _, x := range p.peers {
		if missed := x.missed.Load(); missed > p.patient {
			return fmt.Errorf("rank %d on %s has sent no sign of life for %v; the last step that it reported is %d, and this "+
				"rank is at step %d; its process has been stopped, or its host or the network has failed", x.rank,
				p.engine.hosts[x.rank], time.Duration(missed)*beat, x.reached.Load(), p.step.Load())
		}
	}
	return nil
}

// stop ends the exchange. Each peer gets a last message, and the last one of each peer is received, so that no
// operation is left when the library is finalized.
func (p *pulse) stop() error {
	close(p.end)
	<-p.ended
	if err := p.failed.Load(); err != nil {
		return *err
	}
	for _, x := range p.peers {
		if x.sent {
			if err := p.until(func() (bool, error) { return p.engine.done(&x.sending) }); err != nil {
				return err
			}
		}
		if err := p.send(x, last); err != nil {
			return err
		}
	}
	for _, x := range p.peers {
		if err := p.until(func() (bool, error) { return p.left(x) }); err != nil {
			return err
		}
		if err := p.until(func() (bool, error) { return p.engine.done(&x.sending) }); err != nil {
			return err
		}
	}
	return nil
}

// left reports whether the last message of a peer has arrived.
func (p *pulse) left(x *peer) (bool, error) {
	done, err := p.heard(x)
	if !done || err != nil || x.in[0] == last {
		return done, err
	}
	return false, p.receive(x)
}

// until waits for done as long as a peer may be silent.
func (p *pulse) until(done func() (bool, error)) error {
	for end := time.Now().Add(time.Duration(p.patient) * beat); ; time.Sleep(lastPause) {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("mpi: leave the group: a rank has not answered for %v", time.Duration(p.patient)*beat)
		}
	}
}
