// Package grouptest has a group of goroutines of one process, for tests of code that uses a group, and the suite that
// every engine passes.
package grouptest

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/lor2c/lor2c/internal/group"
)

// ErrAborted is the error of every call after a rank has called Abort.
var ErrAborted = errors.New("grouptest: a rank has aborted")

// meeting is what the ranks share. A collective call has two parts: every rank leaves what it brings and waits for the
// last to arrive; then every rank takes what it needs and waits again, so that nobody changes its memory before that.
type meeting struct {
	mu      sync.Mutex
	arrived sync.Cond
	brought []any
	present int
	round   int
	aborted bool
}

// local is one rank.
type local struct {
	*meeting
	rank int
}

var _ group.Group = (*local)(nil)

// New returns the ranks of a group, each of which a goroutine of its own must use.
func New(size int) []group.Group {
	m := &meeting{brought: make([]any, size)}
	m.arrived.L = &m.mu
	ranks := make([]group.Group, size)
	for i := range ranks {
		ranks[i] = &local{meeting: m, rank: i}
	}
	return ranks
}

func (l *local) Rank() int { return l.rank }
func (l *local) Size() int { return len(l.brought) }

// wait leaves what this rank brings, waits for the others and returns what all have brought.
func (l *local) wait(brings any) ([]any, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.brought[l.rank] = brings
	round := l.round
	if l.present++; l.present == len(l.brought) {
		l.present, l.round = 0, round+1
		l.arrived.Broadcast()
	}
	for l.round == round && !l.aborted {
		l.arrived.Wait()
	}
	if l.aborted {
		return nil, ErrAborted
	}
	return slices.Clone(l.brought), nil
}

// meet calls take while every rank's value is valid.
func (l *local) meet(brings any, take func(brought []any)) error {
	brought, err := l.wait(brings)
	if err != nil {
		return err
	}
	take(brought)
	_, err = l.wait(brings)
	return err
}

func (l *local) AllReduce(values []float32) error {
	sum := make([]float32, len(values))
	err := l.meet(values, func(brought []any) {
		for rank, b := range brought {
			theirs, ok := b.([]float32)
			if !ok || len(theirs) != len(sum) {
				panic(fmt.Sprintf("grouptest: rank %d adds %d values, and rank %d brings %v", l.rank, len(sum), rank, b))
			}
			for i, v := range theirs {
				sum[i] += v
			}
		}
	})
	copy(values, sum)
	return err
}

func (l *local) Broadcast(data []byte) error {
	return l.meet(data, func(brought []any) {
		sent := brought[0].([]byte)
		if len(sent) != len(data) {
			panic(fmt.Sprintf("grouptest: rank %d receives %d bytes, and rank 0 sends %d", l.rank, len(data), len(sent)))
		}
		if l.rank != 0 { // the others read the memory of rank 0
			copy(data, sent)
		}
	})
}

func (l *local) Gather(part []byte, parts [][]byte) error {
	return l.meet(part, func(brought []any) {
		for i := range parts {
			if n := copy(parts[i], brought[i].([]byte)); n != len(parts[i]) || n != len(brought[i].([]byte)) {
				panic(fmt.Sprintf("grouptest: rank 0 has %d bytes for the part of rank %d, which has %d", len(parts[i]), i,
					len(brought[i].([]byte))))
			}
		}
	})
}

func (l *local) Barrier() error {
	_, err := l.wait(nil)
	return err
}

func (l *local) Mark(int)     {}
func (l *local) Close() error { return l.Barrier() }

func (l *local) Abort(int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.aborted = true
	l.arrived.Broadcast()
}
