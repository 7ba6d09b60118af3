//go:build cuda && cgo && linux && amd64

package gpu

import (
	"errors"
	"fmt"
	"slices"

	"github.com/lor2c/lor2c/internal/gpu/driver"
	"github.com/lor2c/lor2c/kernels"
)

// codes returns the code objects that may run on the card, best first.
func (d *Device) codes() ([]kernels.Code, error) {
	codes, err := kernels.Codes(d.about.Major, d.about.Minor)
	if err != nil || codes != nil {
		return codes, err
	}
	// In tests the driver contains the kernels, so there is no code to load.
	why, _ := kernels.For(d.about.Major, d.about.Minor)
	return []kernels.Code{{Target: why, Images: [][]byte{nil}}}, nil
}

// load loads the first of codes that the driver accepts. A driver may refuse code that is too new for it. PTX comes
// last and is old enough for every driver that lor2c supports.
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
