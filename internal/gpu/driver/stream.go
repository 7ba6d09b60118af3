//go:build cuda && cgo && linux && amd64

package driver

import (
	"unsafe"

	"gorgonia.org/cu"
)

// Stream is a queue of work that the device executes in order.
type Stream struct{ s cu.Stream }

// NewStream creates a stream that does not wait for the default stream.
func NewStream() (Stream, error) {
	s, err := cu.MakeStream(cu.NonBlocking)
	return Stream{s}, failure("cuStreamCreate", err)
}

// handle returns the stream as a C pointer.
func (s Stream) handle() unsafe.Pointer { return unsafe.Pointer(s.s.C()) }

// Synchronize waits for the work of the stream.
func (s Stream) Synchronize() error { return failure("cuStreamSynchronize", s.s.Synchronize()) }

// Destroy frees the stream when its work is done.
func (s Stream) Destroy() error { return failure("cuStreamDestroy", s.s.Destroy()) }

// Event marks a position in a stream.
type Event struct{ e cu.Event }

// NewEvent creates an event. Elapsed needs events with timing; events without timing are cheaper.
func NewEvent(timing bool) (Event, error) {
	flags := cu.DisableTiming
	if timing {
		flags = 0
	}
	e, err := cu.MakeEvent(flags)
	return Event{e}, failure("cuEventCreate", err)
}

// Record sets the event to the end of the work that the stream has so far.
func (e Event) Record(s Stream) error { return failure("cuEventRecord", e.e.Record(s.s)) }

// Synchronize waits for the work before the event.
func (e Event) Synchronize() error { return failure("cuEventSynchronize", e.e.Synchronize()) }

// Destroy frees the event.
func (e Event) Destroy() error { return failure("cuEventDestroy", cu.DestroyEvent(&e.e)) }

// Elapsed returns the milliseconds between two events that have been reached.
func Elapsed(from, to Event) (float64, error) {
	ms, err := from.e.Elapsed(to.e)
	return ms, failure("cuEventElapsedTime", err)
}
