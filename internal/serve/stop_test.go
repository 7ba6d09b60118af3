package serve

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lor2c/lor2c/internal/dataset"
	"github.com/lor2c/lor2c/internal/train"
)

// TestStop: a server that is stopped while requests are computed and wait answers them, accepts no more, and ends
// without an error.
func TestStop(t *testing.T) {
	m, begins, release := blocked()
	s := fakeServer(t, limits(t), m)
	url, stop, wait := serveUntil(t, s)
	answers := make(chan reply, 20)
	for range cap(answers) {
		go func() { answers <- send(t, http.MethodPost, url+"/predict", `{"texts":["abc"]}`) }()
	}
	<-begins
	eventually(t, func() bool { return gauge(t, url, "lor2c_queue_requests") == float64(cap(answers)) })
	stop()
	eventually(t, func() bool {
		_, err := (&http.Client{Transport: &http.Transport{}}).Get(url + "/healthz")
		return err != nil
	})
	if s.open.Load() != int64(cap(answers)) {
		t.Errorf("%d requests are open", s.open.Load())
	}
	release()
	for range cap(answers) {
		if r := <-answers; r.status != 200 || !strings.Contains(r.body, `"value":3`) {
			t.Errorf("%d %s", r.status, r.body)
		}
	}
	if err := wait(); err != nil || s.open.Load() != 0 {
		t.Errorf("%v, %d requests are open", err, s.open.Load())
	}
}

// TestGrace: requests that take longer than the grace time get an error that says so, and the server ends with one.
func TestGrace(t *testing.T) {
	o := limits(t)
	o.Grace = 50 * time.Millisecond
	begins := make(chan int)
	// The computation ends when the server drops its only request, and not before.
	s := fakeServer(t, o, &lengths{before: func(ctx context.Context, texts []dataset.Example) error {
		begins <- len(texts)
		<-ctx.Done()
		return ctx.Err()
	}})
	url, stop, wait := serveUntil(t, s)
	answered := make(chan error, 1)
	go func() {
		r, err := http.Post(url+"/predict", "application/json", strings.NewReader(`{"texts":["abc"]}`))
		if err == nil && r.StatusCode != http.StatusServiceUnavailable {
			err = errors.New(r.Status)
		}
		answered <- err
	}()
	<-begins
	stop()
	err := wait()
	if !errors.Is(err, train.ErrInterrupted) || !strings.Contains(err.Error(), "1 request was not answered") {
		t.Errorf("%v; want an error about one request", err)
	}
	<-answered // with status 503, or a closed connection
}

// TestDeviceFailure: a server whose device has failed says so and ends.
func TestDeviceFailure(t *testing.T) {
	s := fakeServer(t, limits(t), &lengths{})
	url, _, wait := serveUntil(t, s)
	if r := send(t, http.MethodGet, url+"/readyz", ""); r.status != 200 {
		t.Errorf("%d %s", r.status, r.body)
	}
	s.fail(train.ErrDevice)
	if err := wait(); !errors.Is(err, train.ErrDevice) {
		t.Errorf("the server ends with %v", err)
	}
}
