//go:build !(cuda && cgo && linux && amd64)

package gpu

import (
	"fmt"

	"github.com/lor2c/lor2c/internal/compute"
)

// Built reports whether this binary has the CUDA device.
const Built = false

// Open returns an error that wraps ErrNotBuilt.
func Open(Options) (compute.Device, error) {
	return nil, fmt.Errorf("gpu: open: %w", ErrNotBuilt)
}

// Probe reports that this binary has no CUDA device.
func Probe() Report { return Report{Driver: "not in this build"} }

// Inspect returns errors that wrap ErrNotBuilt.
func Inspect(int, bool) Inspection {
	err := fmt.Errorf("gpu: inspect: %w", ErrNotBuilt)
	return Inspection{MemoryErr: err, CheckErr: err}
}
