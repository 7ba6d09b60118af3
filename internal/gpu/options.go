// Package gpu is the CUDA device. It implements compute.Device with the kernels of package kernels, which it launches
// through internal/gpu/driver.
//
// Ops are queued on the host and submitted together. A list of ops that comes again is captured as a graph and
// replayed; see queue. Callers do not see this. The device needs the build tag cuda; without it Open returns an error
// that wraps ErrNotBuilt.
package gpu

import "errors"

// ErrNotBuilt is wrapped by errors that report that the binary has no CUDA device.
var ErrNotBuilt = errors.New("built without CUDA")

// ErrNoDevice is wrapped by errors that report that no card can be used.
var ErrNoDevice = errors.New("no usable card")

// Options selects a card and its precision.
type Options struct {
	// Index is the number of the card among those that CUDA_VISIBLE_DEVICES allows. The first is 0.
	Index int
	// Narrow makes compute.Working bfloat16. Otherwise it is float32.
	Narrow bool
}

// Report describes the driver and the cards of a machine, for people.
type Report struct {
	// Driver is the CUDA version that the driver supports, or the reason why no driver can be used.
	Driver string
	// Usable is true if this binary has code for one of the cards.
	Usable bool
	Cards  []Card
	// Targets has the names of the code objects in this binary.
	Targets []string
	// Missing has the names of the entry points that the driver lacks.
	Missing []string
}

// Card is one GPU.
type Card struct {
	Name            string
	UUID            string
	Capability      string // compute capability, "9.0"
	Multiprocessors int
	Bytes           int64 // size of its memory
	// Code is the name of the code object for this card, or the reason why there is none.
	Code   string
	Usable bool
}

// Inspection is what Inspect found on a card.
type Inspection struct {
	Free      int64 // bytes of memory
	MemoryErr error // why Free is not known
	// Refused has the names of the kernels that are not used because they gave wrong results.
	Refused  []string
	CheckErr error // why the kernels could not be checked
}
