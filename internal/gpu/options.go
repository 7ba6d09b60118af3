// Package gpu is the CUDA device: compute.Device by the kernels of package
// kernels, through internal/gpu/driver.
//
// Ops are queued on the host and submitted as one captured graph, which is
// replayed whenever the same ops come again: see queue. Nothing above this
// package knows of it. The build tag cuda brings the device in; without it Open
// says that it is not there.
package gpu

import "errors"

// ErrNotBuilt is wrapped when the binary has no CUDA device.
var ErrNotBuilt = errors.New("built without CUDA")

// ErrNoDevice is wrapped when there is no card that the device can use.
var ErrNoDevice = errors.New("no usable card")

// Options chooses a card and how it computes.
type Options struct {
	// Index counts the cards that CUDA_VISIBLE_DEVICES leaves, from 0.
	Index int
	// Narrow makes Working bfloat16; otherwise it is float32.
	Narrow bool
}

// Report is what a machine offers, for people.
type Report struct {
	// Driver is the CUDA version that the driver supports, or why it is no use.
	Driver string
	// Usable says that there is a card for which this binary has code.
	Usable bool
	Cards  []Card
	// Targets lists the code objects in this binary.
	Targets []string
	// Missing lists the driver's entry points that were looked for in vain.
	Missing []string
}

// Card is one GPU.
type Card struct {
	Name            string
	UUID            string
	Capability      string // compute capability, "9.0"
	Multiprocessors int
	Bytes           int64 // of its memory
	// Code is the code object that the driver takes for it, or why none fits.
	Code   string
	Usable bool
}
