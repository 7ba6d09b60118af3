//go:build cuda && cgo && linux && amd64

package driver

import (
	"unsafe"

	"gorgonia.org/cu"
)

// Stream is work that is done in order.
type Stream struct{ s cu.Stream }

// NewStream makes a stream that does not wait for the default one.
func NewStream() (Stream, error) {
	s, err := cu.MakeStream(cu.NonBlocking)
	return Stream{s}, failure("cuStreamCreate", err)
}

// handle is the stream as the C side takes it.
func (s Stream) handle() unsafe.Pointer { return unsafe.Pointer(s.s.C()) }

// Synchronize waits for the work of the stream.
func (s Stream) Synchronize() error { return failure("cuStreamSynchronize", s.s.Synchronize()) }

// Destroy ends the stream when its work is done.
func (s Stream) Destroy() error { return failure("cuStreamDestroy", s.s.Destroy()) }

// Event marks a place in a stream.
type Event struct{ e cu.Event }

// NewEvent makes an event. Only one with timing can be a limit of Elapsed; one
// without costs less.
func NewEvent(timing bool) (Event, error) {
	flags := cu.DisableTiming
	if timing {
		flags = 0
	}
	e, err := cu.MakeEvent(flags)
	return Event{e}, failure("cuEventCreate", err)
}

// Record sets the mark at what the stream has been given so far.
func (e Event) Record(s Stream) error { return failure("cuEventRecord", e.e.Record(s.s)) }

// Synchronize waits for the work before the mark.
func (e Event) Synchronize() error { return failure("cuEventSynchronize", e.e.Synchronize()) }

// Destroy frees the event.
func (e Event) Destroy() error { return failure("cuEventDestroy", cu.DestroyEvent(&e.e)) }

// Elapsed returns the time between two marks that have been reached, in
// milliseconds.
func Elapsed(from, to Event) (float64, error) {
	ms, err := from.e.Elapsed(to.e)
	return ms, failure("cuEventElapsedTime", err)
}
