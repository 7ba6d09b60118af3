//go:build cuda && cgo && linux && amd64

package gpu

import (
	"errors"
	"fmt"
	"slices"

	"github.com/lor2c/lor2c/internal/gpu/driver"
	"github.com/lor2c/lor2c/kernels"
)

// code is the kernels for one target.
type code struct {
	target string
	images func(target string) ([][]byte, error) // unpacks the code
}

// codes returns the code objects that may run on the card, best first.
func (d *Device) codes() (all []code) {
	for _, target := range kernels.For(d.about.Major, d.about.Minor) {
		all = append(all, code{target, kernels.Images})
	}
	if all == nil {
		// In tests the driver contains the kernels, so there is no code to load.
		why, _ := kernels.Describe(d.about.Major, d.about.Minor)
		all = append(all, code{why, func(string) ([][]byte, error) { return [][]byte{nil}, nil }})
	}
	return all
}

// load loads the first of codes that the driver accepts. A driver may refuse code that is too new for it. PTX comes
// last and is old enough for every driver that lor2c supports.
func (d *Device) load(codes []code) (refused error) {
	for _, code := range codes {
		images, err := code.images(code.target)
		if err != nil {
			return err
		}
		modules, err := loadAll(images)
		if err == nil {
			d.modules, d.code = modules, code.target
			return nil
		}
		other := answers(err, driver.InvalidImage, driver.NoBinaryForGPU, driver.InvalidPTX, driver.UnsupportedPTXVersion)
		err = fmt.Errorf("code object %s: %w%s", code.target, err, remedy(err))
		if refused != nil {
			err = fmt.Errorf("%w; %w", refused, err)
		}
		if refused = err; !other {
			break
		}
	}
	return refused
}

// remedy returns what helps if the driver cannot compile PTX, or "". It begins with a semicolon.
func remedy(err error) string {
	switch {
	case answers(err, driver.NoCompiler):
		return "; the driver's compiler libnvidia-ptxjitcompiler.so.1 is missing, which a container gets with " +
			"NVIDIA_DRIVER_CAPABILITIES=compute,utility"
	case answers(err, driver.CompilerDisabled):
		return "; CUDA_DISABLE_PTX_JIT=1 forbids the driver to compile the code for this card"
	case answers(err, driver.InvalidSource, driver.UnsupportedPTXVersion):
		return "; a newer driver compiles this code"
	}
	return ""
}

// answers reports whether err is an error of the driver with one of the codes.
func answers(err error, codes ...int) bool {
	var e *driver.Error
	return errors.As(err, &e) && slices.Contains(codes, e.Code)
}

// loadAll loads all images. If one fails it unloads those before it.
func loadAll(images [][]byte) (modules []driver.Module, err error) {
	for _, image := range images {
		m, err := driver.Load(image)
		if err != nil {
			for _, m := range modules {
				// The error of loading is the one to report.
				_ = m.Unload()
			}
			return nil, err
		}
		modules = append(modules, m)
	}
	return modules, nil
}

// function looks up a kernel in all modules.
func (d *Device) function(name string) (f driver.Function, err error) {
	for _, m := range d.modules {
		if f, err = m.Function(name); !answers(err, driver.NotFound) {
			break
		}
	}
	return f, err
}
