//go:build cuda && cgo && linux && amd64

package gpu

import (
	"errors"
	"fmt"
	"slices"

	"github.com/lor2c/lor2c/internal/gpu/driver"
	"github.com/lor2c/lor2c/kernels"
)

// codes returns what may run on the card, best first.
func (d *Device) codes() ([]kernels.Code, error) {
	codes, err := kernels.Codes(d.about.Major, d.about.Minor)
	if err != nil || codes != nil {
		return codes, err
	}
	// A driver that brings kernels of its own, as in tests, takes no code.
	why, _ := kernels.For(d.about.Major, d.about.Minor)
	return []kernels.Code{{Target: why, Images: [][]byte{nil}}}, nil
}

// load loads the first of codes that the driver takes. What it refuses may be
// too new for it; PTX, which comes last, is as old as the oldest driver we know.
func (d *Device) load(codes []kernels.Code) (refused error) {
	for _, code := range codes {
		modules, err := loadAll(code.Images)
		if err == nil {
			d.modules = modules
			return nil
		}
		other := answers(err, driver.InvalidImage, driver.NoBinaryForGPU, driver.InvalidPTX, driver.UnsupportedPTXVersion)
		err = fmt.Errorf("code object %s: %w", code.Target, err)
		if refused != nil {
			err = fmt.Errorf("%w; %w", refused, err)
		}
		if refused = err; !other {
			break
		}
	}
	return refused
}

// answers reports whether the driver answered with one of the codes.
func answers(err error, codes ...int) bool {
	var e *driver.Error
	return errors.As(err, &e) && slices.Contains(codes, e.Code)
}

// loadAll loads every image or none.
func loadAll(images [][]byte) (modules []driver.Module, err error) {
	for _, image := range images {
		m, err := driver.Load(image)
		if err != nil {
			for _, m := range modules {
				// The error that counts is the one of loading.
				_ = m.Unload()
			}
			return nil, err
		}
		modules = append(modules, m)
	}
	return modules, nil
}

// function looks a kernel up in all modules.
func (d *Device) function(name string) (f driver.Function, err error) {
	for _, m := range d.modules {
		if f, err = m.Function(name); !answers(err, driver.NotFound) {
			break
		}
	}
	return f, err
}
