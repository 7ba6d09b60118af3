package team

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
)

// Each calls f(i) for every i below n, on a goroutine for each processor, until ctx ends. A goroutine takes a number of
// calls in a row, run. Each returns when all calls have returned, with the error of ctx.
func Each(ctx context.Context, n, run int, f func(i int)) error {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for ctx.Err() == nil {
				low := int(next.Add(int64(run))) - run
				if low >= n {
					return
				}
				for i := low; i < min(low+run, n); i++ {
					f(i)
				}
			}
		})
	}
	workers.Wait()
	return ctx.Err()
}
