// Package serve answers over HTTP what lor2c predict and lor2c generate answer on the command line, with the same bits.
//
// One goroutine computes. Requests that wait together are computed together, which does not change what each of them
// gets, and a client that goes away frees its place. The package has no state on disk.
package serve

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/net/netutil"

	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/train"
)

// Options are the limits of a server and who may use it.
type Options struct {
	Token       string        // that requests must carry; empty means none
	Batch       int           // the most texts that are computed at a time
	Wait        time.Duration // the longest time that a text waits for others, if the device is free
	MaxBody     int64         // bytes of a request
	MaxRows     int           // texts of a request
	MaxQueue    int           // requests that are computed or wait for it
	Timeout     time.Duration // of a request, from its last byte to its answer
	Reading     time.Duration // for a client to send its request, and to take each part of the answer
	Grace       time.Duration // for the requests that were accepted before the server stops
	AdapterRoot string        // directory of the adapters that requests may load; empty means that they may not
	MaxAdapters int           // to which requests may add, together with those of the start and the base model
	Log         *log.Logger   // of faults of the server
}

// connections is the most clients that are connected at a time. Others wait in the system's queue.
const connections = 1024

// Server is an HTTP server for one base model.
type Server struct {
	Options
	*metrics
	task     task
	stopping atomic.Bool
	accepted atomic.Int64 // requests whose header was read
	open     atomic.Int64 // of these, those that have no answer yet
	failure  atomic.Pointer[error]
	failed   chan struct{} // closed when failure is set
}

// task is what a server does with texts.
type task interface {
	// routes adds the paths of the task.
	routes(s *Server, mux *http.ServeMux)
	// paths says, for an error, which paths there are.
	paths() string
	// names lists what requests can choose.
	names() []string
	// close waits for the computation in progress and ends the goroutine that computes.
	close()
}

// newServer returns a server for a task.
func newServer(o Options, t task, m *metrics) *Server {
	return &Server{Options: o, metrics: m, task: t, failed: make(chan struct{})}
}

// Handler returns the handler of all paths.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { s.writeStatus(w, "ok", true) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		switch {
		case s.stopping.Load():
			s.writeStatus(w, "stopping", false)
		case s.failure.Load() != nil:
			s.writeStatus(w, "the device has failed", false)
		default:
			s.writeStatus(w, "ready", true)
		}
	})
	mux.Handle("GET /metrics", s.handler())
	s.task.routes(s, mux)
	return s.guard(mux)
}

// Serve answers requests on l until ctx ends. It then accepts no more, answers those that it has accepted, and returns
// nil. If this takes longer than the grace time, it drops the others and returns an error that
// wraps [train.ErrInterrupted]. It returns the error of a device that has failed.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	defer s.task.close()
	requests, drop := context.WithCancelCause(context.Background())
	defer drop(nil)
	h := &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: s.Reading, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
		BaseContext: func(net.Listener) context.Context { return requests }, ErrorLog: s.Log,
	}
	ended := make(chan error, 1)
	go func() { ended <- h.Serve(netutil.LimitListener(l, connections)) }()
	var fault error
	select {
	case fault = <-ended:
		return fmt.Errorf("serve: listen on %s: %w", l.Addr(), fault)
	case <-s.failed:
		fault = *s.failure.Load()
	case <-ctx.Done():
	}
	s.stopping.Store(true)
	grace, cancel := context.WithTimeout(context.Background(), s.Grace)
	defer cancel()
	if err := h.Shutdown(grace); err != nil {
		left := int(s.open.Load())
		drop(errStopped)
		h.Close()
		if fault == nil && errors.Is(err, context.DeadlineExceeded) && left > 0 {
			fault = fmt.Errorf("serve: stop: %w: %s not answered within %s", train.ErrInterrupted,
				place.Count(left, "request was", "requests were"), s.Grace)
		}
	}
	return fault
}

// Names lists the adapters and models that requests can choose.
func (s *Server) Names() []string { return s.task.names() }

// Answered returns the number of requests that were accepted and have their answers.
func (s *Server) Answered() int64 { return s.accepted.Load() - s.open.Load() }

// fail stops the server, because its device computes no more.
func (s *Server) fail(err error) {
	if s.failure.CompareAndSwap(nil, &err) {
		close(s.failed)
	}
}

// errStopped is the cause of the end of requests that the server drops when it stops.
var errStopped = errors.New("serve: the server stops; send the request to another one")
