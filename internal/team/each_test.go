package team

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
)

func TestEach(t *testing.T) {
	for _, c := range []struct{ n, run int }{{0, 1}, {1, 1}, {1000, 1}, {1000, 64}, {63, 64}} {
		counts := make([]int, c.n)
		if err := Each(t.Context(), c.n, c.run, func(i int) { counts[i]++ }); err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(counts, func(n int) bool { return n != 1 }) {
			t.Errorf("%d calls, %d in a row: they were made %v times; want once each", c.n, c.run, counts)
		}
	}
}

// TestEachEnds: no more calls are begun after the context has ended.
func TestEachEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var calls atomic.Int64
	err := Each(ctx, 1<<40, 1, func(int) {
		if calls.Add(1) == 100 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v after %d calls; want that of the context", err, calls.Load())
	}
}
