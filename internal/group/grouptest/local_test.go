package grouptest_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/lor2c/lor2c/internal/group"
	"github.com/lor2c/lor2c/internal/group/grouptest"
)

// together calls f for every rank at the same time and returns the errors.
func together(ranks []group.Group, f func(group.Group) error) []error {
	errs := make([]error, len(ranks))
	var all sync.WaitGroup
	for i, g := range ranks {
		all.Go(func() { errs[i] = f(g) })
	}
	all.Wait()
	return errs
}

// TestLocal: groups of goroutines pass the suite of the engines.
func TestLocal(t *testing.T) {
	for size := 1; size <= 4; size++ {
		for rank, err := range together(grouptest.New(size), grouptest.Check) {
			if err != nil {
				t.Errorf("rank %d of %d: %v", rank, size, err)
			}
		}
	}
}

// TestLocalAbort: Abort ends the waiting of all other ranks, and later calls.
func TestLocalAbort(t *testing.T) {
	ranks := grouptest.New(3)
	for rank, err := range together(ranks, func(g group.Group) error {
		if g.Rank() == 1 {
			g.Abort(5)
		}
		return g.Barrier()
	}) {
		if !errors.Is(err, grouptest.ErrAborted) {
			t.Errorf("rank %d: %v; want ErrAborted", rank, err)
		}
	}
}
