package serve

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync/atomic"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/dataset"
	"github.com/lor2c/lor2c/internal/predict"
	"github.com/lor2c/lor2c/internal/train"
)

// Model predicts with one adapter; [train.Predictor] is one.
type Model interface {
	predict.Model
	// Load reads the adapter to a device.
	Load(dev compute.Device) error
	// Unload frees the memory of the adapter on the device.
	Unload()
	// Close closes the files of the adapter.
	Close()
}

// Adapter is an adapter with the name by which requests choose it.
type Adapter[M any] struct {
	Name  string
	Dir   string
	Model M
}

// labels is the task of a server of encoders. It is the engine of its worker, too.
type labels struct {
	adapters registry[Model]
	dev      compute.Device
	options  Options
	*metrics
	worker *worker[*rows]
	failed func(error)
	jobs   []*rows // that are not computed in full, the one that is computed next first
	batch  []*rows // of the step in progress
}

// rows is a request for predictions.
type rows struct {
	ctx      context.Context
	adapter  *named[Model]
	examples []dataset.Example
	next     int // of the examples
	values   []float32
	words    [][]int // rows of values, as train.Outputs.Words
	cut      []bool
	done     chan error // receives one error or nil
}

// NewLabels returns a server that predicts with adapters, which are on a device. open opens a further adapter of the
// same base model.
func NewLabels(o Options, dev compute.Device, adapters []Adapter[Model], open func(dir string) (Model, error)) *Server {
	l := &labels{dev: dev, options: o}
	l.adapters.noun = "adapter"
	l.adapters.load = func(dir string) (Model, error) {
		m, err := open(dir)
		if err != nil {
			return nil, err
		}
		err = l.worker.call(func() error {
			err := m.Load(dev)
			if err != nil {
				m.Unload() // it may have read a part
			}
			return err
		})
		if err != nil {
			m.Close()
			return nil, err
		}
		return m, nil
	}
	l.adapters.unload = func(m Model) {
		_ = l.worker.call(func() error { m.Unload(); return nil })
		m.Close()
	}
	for _, a := range adapters {
		l.adapters.put(&named[Model]{name: a.Name, dir: a.Dir, model: a.Model})
	}
	l.worker = newWorker(o, l)
	l.metrics = newMetrics(l.worker.pending.Load)
	s := newServer(o, l, l.metrics)
	l.worker.caught, l.failed = s.panicked, s.fail
	go l.worker.run()
	return s
}

func (l *labels) routes(s *Server, mux *http.ServeMux) {
	mux.HandleFunc("POST /predict", s.handle(l.predict))
	l.adapters.routes(s, mux)
}

func (l *labels) paths() string {
	return "want POST /predict, /adapters, /healthz, /readyz or /metrics; a server of a decoder has /v1"
}

func (l *labels) names() []string { return names(l.adapters.all()) }

func (l *labels) close() { l.worker.close() }

// compute returns the outputs for the texts of a request.
func (l *labels) compute(ctx context.Context, a *named[Model], examples []dataset.Example) (*rows, error) {
	r := &rows{ctx: ctx, adapter: a, examples: examples, done: make(chan error, 1)}
	if err := l.worker.submit(ctx, r); err != nil {
		return nil, err
	}
	select {
	case err := <-r.done:
		return r, err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (l *labels) add(r *rows) { l.jobs = append(l.jobs, r) }

func (l *labels) load() (n int) {
	for _, r := range l.jobs {
		n += len(r.examples) - r.next
	}
	return n
}

// step computes one batch: texts of the first request, and of others for the same adapter. A request of which texts are
// left goes to the end of the queue, so that a long one does not hold up the others.
func (l *labels) step() {
	var examples []dataset.Example
	for _, r := range l.jobs {
		if r.ctx.Err() != nil {
			r.finish(context.Cause(r.ctx))
			continue
		}
		n := min(len(r.examples)-r.next, l.options.Batch-len(examples))
		if n > 0 && (l.batch == nil || r.adapter == l.batch[0].adapter) {
			examples = append(examples, r.examples[r.next:r.next+n]...)
			l.batch = append(l.batch, r)
		}
	}
	if l.batch == nil {
		l.settle()
		return
	}
	l.metrics.batch.Observe(float64(len(examples)))
	out, err := l.outputs(l.batch, examples)
	switch {
	case err == nil:
		share(l.batch, out, len(examples))
	case l.dev.Err() != nil:
		l.failed(err)
		l.fail(err)
	case len(l.batch) == 1 || errors.Is(err, train.ErrInterrupted):
		l.fail(err)
	default:
		l.alone()
	}
	l.settle()
}

// settle removes the requests that have answers from the queue, and puts those of the batch that have none last.
func (l *labels) settle() {
	var first, last []*rows
	for _, r := range l.jobs {
		switch {
		case r.next == len(r.examples):
		case slices.Contains(l.batch, r):
			last = append(last, r)
		default:
			first = append(first, r)
		}
	}
	l.jobs, l.batch = append(first, last...), nil
}

// outputs computes examples of requests. It ends early if all clients are gone.
func (l *labels) outputs(of []*rows, examples []dataset.Example) (train.Outputs, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var waiting atomic.Int64
	waiting.Store(int64(len(of)))
	for _, r := range of {
		defer context.AfterFunc(r.ctx, func() {
			if waiting.Add(-1) == 0 {
				cancel()
			}
		})()
	}
	out, err := of[0].adapter.model.Outputs(ctx, "the request", examples)
	if err != nil {
		return train.Outputs{}, err
	}
	l.metrics.tokens.WithLabelValues("prompt").Add(float64(out[0].Tokens))
	return out[0], nil
}

// share gives the outputs of a batch of n texts to its requests.
func share(batch []*rows, out train.Outputs, n int) {
	width, at := len(out.Values)/n, 0
	for _, r := range batch {
		k := min(len(r.examples)-r.next, n-at)
		if out.Words == nil {
			r.values = append(r.values, out.Values[at*width:(at+k)*width]...)
		} else {
			r.takeWords(out, at, at+k)
		}
		r.cut = append(r.cut, out.Cut[at:at+k]...)
		if r.next, at = r.next+k, at+k; r.next == len(r.examples) {
			r.done <- nil
		}
	}
}

// takeWords takes over the outputs for the words of texts from to to-1 of a batch.
func (r *rows) takeWords(out train.Outputs, from, to int) {
	width := len(r.adapter.model.Task(0).Labels)
	for _, words := range out.Words[from:to] {
		own := make([]int, len(words))
		for i, row := range words {
			if own[i] = row; row >= 0 {
				own[i] = len(r.values) / width
				r.values = append(r.values, out.Values[row*width:(row+1)*width]...)
			}
		}
		r.words = append(r.words, own)
	}
}

// alone computes the requests of a batch one by one, so that an error is that of the request at fault.
func (l *labels) alone() {
	for _, r := range l.batch {
		n := min(len(r.examples)-r.next, l.options.Batch)
		out, err := l.outputs([]*rows{r}, r.examples[r.next:r.next+n])
		if err != nil {
			r.finish(err)
			continue
		}
		share([]*rows{r}, out, n)
	}
}

// fail answers the requests of the batch with an error.
func (l *labels) fail(err error) {
	for _, r := range l.batch {
		if r.next < len(r.examples) {
			r.finish(err)
		}
	}
	l.settle()
}

// finish ends a request that is not computed in full.
func (r *rows) finish(err error) {
	r.next = len(r.examples)
	r.done <- err
}
