package serve

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// engine computes jobs. Only the goroutine of a worker calls it.
type engine[J any] interface {
	// add takes a job.
	add(j J)
	// load returns the number of texts that are to be computed.
	load() int
	// step computes a part of the jobs. It answers those that are done, and those whose clients are gone.
	step()
	// fail answers all jobs of the step that has panicked with an error.
	fail(err error)
}

// worker is the goroutine that alone uses the device.
type worker[J any] struct {
	engine  engine[J]
	jobs    chan J
	calls   chan func()
	stop    chan struct{}
	done    chan struct{}
	pending atomic.Int64  // requests that were admitted and have no answer
	most    int64         // of pending
	enough  int           // texts for which a step does not wait for more
	wait    time.Duration // the longest time that a free device waits for more
	caught  func(where string, p any)
}

func newWorker[J any](o Options, e engine[J]) *worker[J] {
	return &worker[J]{
		engine: e, jobs: make(chan J, o.MaxQueue), calls: make(chan func()), stop: make(chan struct{}),
		done: make(chan struct{}), most: int64(o.MaxQueue), enough: o.Batch, wait: o.Wait,
	}
}

// admit gives a request a place among those that are prepared, wait or are computed, before anything of it is decoded.
// The caller calls leave, once or more often, when it has the answer or gives the request up.
func (w *worker[J]) admit() (leave func(), err error) {
	if w.pending.Add(1) > w.most {
		w.pending.Add(-1)
		return nil, refusal(http.StatusTooManyRequests, "serve: %d requests are computed or wait; send the request again "+
			"later", w.most)
	}
	return sync.OnceFunc(func() { w.pending.Add(-1) }), nil
}

// receive reads the body of a request and gives the request a place, as admit does.
func (w *worker[J]) receive(to http.ResponseWriter, r *http.Request) (body []byte, leave func(), err error) {
	if body, err = readBody(to, r); err == nil {
		leave, err = w.admit()
	}
	return body, leave, err
}

// submit queues the job of a request that was admitted. Jobs whose clients went away can fill the queue; submit then
// waits, at most until ctx ends.
func (w *worker[J]) submit(ctx context.Context, j J) error {
	select {
	case w.jobs <- j:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// call runs f on the goroutine of w.
func (w *worker[J]) call(f func() error) error {
	err, ended := errBug, make(chan struct{})
	select {
	case w.calls <- func() { defer close(ended); err = f() }:
		<-ended
		return err
	case <-w.done:
		return errStopped
	}
}

// close ends the goroutine after the step in progress.
func (w *worker[J]) close() {
	close(w.stop)
	<-w.done
}

// run computes until close is called.
func (w *worker[J]) run() {
	defer close(w.done)
	for {
		if w.engine.load() == 0 {
			select {
			case j := <-w.jobs:
				w.engine.add(j)
				w.gather()
			case f := <-w.calls:
				w.guard(f)
				continue
			case <-w.stop:
				return
			}
		}
		if w.take() {
			return
		}
		w.guard(w.engine.step)
	}
}

// gather waits for further jobs that can be computed together with the first.
func (w *worker[J]) gather() {
	if w.wait == 0 {
		return
	}
	timer := time.NewTimer(w.wait)
	defer timer.Stop()
	for w.engine.load() < w.enough {
		select {
		case j := <-w.jobs:
			w.engine.add(j)
		case <-timer.C:
			return
		case <-w.stop:
			return
		}
	}
}

// take takes what has arrived, and reports whether the worker ends.
func (w *worker[J]) take() (ends bool) {
	for {
		select {
		case j := <-w.jobs:
			w.engine.add(j)
		case f := <-w.calls:
			w.guard(f)
		case <-w.stop:
			return true
		default:
			return false
		}
	}
}

// guard calls f. If it panics, the jobs that were computed get an error, and the worker continues.
func (w *worker[J]) guard(f func()) {
	defer func() {
		if p := recover(); p != nil {
			w.caught("compute", p)
			w.engine.fail(errBug)
		}
	}()
	f()
}
