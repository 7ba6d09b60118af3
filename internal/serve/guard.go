package serve

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"path"
	"runtime/debug"
	"strings"
	"time"

	"github.com/lor2c/lor2c/internal/place"
)

// public lists the paths that need no token. They say nothing about models or requests.
var public = map[string]bool{"/healthz": true, "/readyz": true}

// guard returns a handler that counts requests, refuses those that may not be answered, sets their limits, and answers
// those whose handler panics.
func (s *Server) guard(mux *http.ServeMux) http.Handler {
	// A page in a browser must not use a server on the machine of its reader.
	origin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.accepted.Add(1)
		s.open.Add(1)
		defer s.open.Add(-1)
		a := &answer{ResponseWriter: w, started: time.Now(), reading: s.Reading}
		_, a.path = mux.Handler(r)
		defer s.observe(a)
		defer s.recover(a, r)
		// Also a refused request has a deadline, because net/http reads the rest of its body. Not every connection of a test
		// has deadlines.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(s.Reading))
		if err := s.admit(r); err != nil {
			a.Header().Set("Connection", "close") // the answer does not wait for the body
			s.refuse(a, r, err)
			return
		}
		if err := origin.Check(r); err != nil {
			s.refuse(a, r, refusal(http.StatusForbidden, "serve: the request comes from a page of another site; call the "+
				"server from a program"))
			return
		}
		r.Body = http.MaxBytesReader(a, r.Body, s.MaxBody)
		ctx, cancel := context.WithTimeoutCause(r.Context(), s.Reading+s.Timeout, errTimeout)
		defer cancel()
		r = r.WithContext(ctx)
		if a.path == "" || path.Clean(r.URL.Path) != r.URL.Path {
			a.path = ""
			s.refuse(a, r, s.unknown(mux, r))
			return
		}
		mux.ServeHTTP(a, r)
	})
}

// errTimeout is the cause of the end of requests that take too long.
var errTimeout = errors.New("serve: the request took longer than the server allows; send fewer texts, or ask for " +
	"fewer tokens")

// admit returns an error if the request has not the token of the server or, if the server has none, if it was sent to
// another host: the name of a page that leads to this machine.
func (s *Server) admit(r *http.Request) error {
	if public[r.URL.Path] {
		return nil
	}
	if s.Token == "" {
		if !isLoopback(r.Host) {
			return refusal(http.StatusForbidden, "serve: the request is for the host %s; want localhost, or a server with a "+
				"token", place.Quote(r.Host))
		}
		return nil
	}
	// Equal lengths make the time of the comparison independent of the token's.
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	got, want := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(s.Token))
	if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
		return refusal(http.StatusUnauthorized, "serve: the request has no token or another one than the server; want the "+
			"header Authorization: Bearer TOKEN")
	}
	return nil
}

// isLoopback reports whether host, with or without a port, is this machine for itself only.
func isLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.IsLoopback()
}

// IsLoopback reports whether only programs on this machine can connect to an address of the form host:port.
func IsLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && host != "" && isLoopback(host)
}

// unknown returns the error for a path that the server does not have, or not with the method of the request.
func (s *Server) unknown(mux *http.ServeMux, r *http.Request) error {
	var methods []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := mux.Handler(other); pattern != "" {
			methods = append(methods, method)
		}
	}
	if methods != nil && path.Clean(r.URL.Path) == r.URL.Path {
		return refusal(http.StatusMethodNotAllowed, "serve: the method of %s is %s; want %s", place.Quote(r.URL.Path),
			place.Quote(r.Method), strings.Join(methods, " or "))
	}
	return refusal(http.StatusNotFound, "serve: there is no path %s; %s", place.Quote(r.URL.Path), s.task.paths())
}

// recover answers a request whose handler has panicked.
func (s *Server) recover(a *answer, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler { // the client is gone, and net/http expects this value
		panic(p)
	}
	s.panicked("answer "+a.path, p)
	s.refuse(a, r, errBug)
}

// errBug is the error of a request that met a bug of lor2c.
var errBug = errors.New("serve: the request met a bug in lor2c; the log of the server has more")

// panicked records a panic.
func (s *Server) panicked(where string, p any) {
	s.panics.Inc()
	s.Log.Printf("serve: %s: this is a bug in lor2c: %v\n%s", where, p, debug.Stack())
}

// refusalError is an error with the status of its answer.
type refusalError struct {
	error
	status int
	param  string // the key of the request that is at fault
	code   string // for programs; see the OpenAI API
}

func (e *refusalError) Unwrap() error { return e.error }

func refusal(status int, format string, a ...any) *refusalError {
	return &refusalError{error: fmt.Errorf(format, a...), status: status}
}
