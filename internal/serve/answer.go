package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/strictjson"
)

// answer is a response that knows its status.
type answer struct {
	http.ResponseWriter
	path    string // the pattern of the request's path, with its method
	status  int
	started time.Time
	reading time.Duration // for the client to take each part
}

// Unwrap returns the response, for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader writes the status.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write writes a part of the body.
func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	_ = http.NewResponseController(a.ResponseWriter).SetWriteDeadline(time.Now().Add(a.reading))
	return a.ResponseWriter.Write(p)
}

// handler answers a request, or returns the error that is the answer.
type handler func(w http.ResponseWriter, r *http.Request) error

// handle returns a handler that answers with the errors of h.
func (s *Server) handle(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			s.refuse(w.(*answer), r, err)
		}
	}
}

// statusGone is nginx's status of a request whose client did not wait for the answer. It is only counted.
const statusGone = 499

// refuse answers with an error, unless the answer has begun. If the client is gone, it closes the connection.
func (s *Server) refuse(a *answer, r *http.Request, err error) {
	if a.status != 0 {
		return
	}
	status := statusOf(r.Context(), err)
	switch {
	case status == statusGone:
		a.status = status
		panic(http.ErrAbortHandler) // net/http would send status 200 to a client that has only stopped sending
	case status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable:
		a.Header().Set("Retry-After", "1")
	case status == http.StatusUnauthorized:
		a.Header().Set("WWW-Authenticate", `Bearer realm="lor2c"`)
	case status >= http.StatusInternalServerError && !errors.Is(err, errBug):
		s.Log.Print(err)
	}
	writeJSON(a, status, errorBody(r, err))
}

// errorBody returns the body of an answer with an error.
func errorBody(r *http.Request, err error) map[string]any {
	kind := "invalid_request_error"
	switch status := statusOf(r.Context(), err); {
	case status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable:
		kind = "server_busy"
	case status >= http.StatusInternalServerError:
		kind = "server_error"
	}
	var param, code *string
	var refused *refusalError
	if errors.As(err, &refused) {
		param, code = optional(refused.param), optional(refused.code)
	} else if cause := context.Cause(r.Context()); cause != nil {
		err = cause
	}
	return map[string]any{"error": map[string]any{
		"message": strings.ReplaceAll(err.Error(), "\n", "; "), "type": kind, "param": param, "code": code,
	}}
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// statusOf returns the status of an answer with an error.
func statusOf(ctx context.Context, err error) int {
	var refused *refusalError
	switch cause := context.Cause(ctx); {
	case errors.As(err, &refused):
		return refused.status
	case errors.Is(cause, errTimeout), errors.Is(cause, errStopped):
		return http.StatusServiceUnavailable
	case cause != nil:
		return statusGone
	case errors.Is(err, adapter.ErrMismatch):
		return http.StatusConflict
	case place.IsMistake(err):
		return http.StatusBadRequest
	}
	return http.StatusInternalServerError
}

// writeJSON writes a value as the whole answer.
func writeJSON(w http.ResponseWriter, status int, v any) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // a bug: the values of this package can be encoded
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the client may be gone
}

// writeStatus answers a question about the state of the server.
func (s *Server) writeStatus(w http.ResponseWriter, state string, ok bool) {
	status := http.StatusOK
	if !ok {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, map[string]string{"status": state})
}

// readBody reads the body of a request.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	raw, err := io.ReadAll(r.Body)
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		return nil, refusal(http.StatusRequestEntityTooLarge, "serve: read the request: it has more than %d bytes; want "+
			"fewer texts, or a server with a larger --max-body", long.Limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, refusal(http.StatusRequestTimeout, "serve: read the request: it did not arrive in time; want its "+
			"whole body at once")
	case err != nil:
		return nil, refusal(http.StatusBadRequest, "serve: read the request: %w", err)
	}
	// The deadline is that of reading. Without one, the server notices when the client goes away.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	return raw, nil
}

// decodeJSON decodes the body of a request into what v points to. Keys that v has no field for are errors.
func decodeJSON(raw []byte, v any) error {
	if err := strictjson.UnmarshalKnown(raw, v); err != nil {
		return refusal(http.StatusBadRequest, "serve: read the request:%w", err)
	}
	return nil
}
