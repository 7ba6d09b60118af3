//go:build cuda && cgo && linux && amd64

package gpu

import (
	"fmt"

	"lor2c/internal/gpu/driver"
	"lor2c/kernels"
)

// load loads the best code that the driver takes. What it refuses may be too
// new for it; PTX, which comes last, is as old as the oldest driver we know.
func (d *Device) load() error {
	codes, err := kernels.Codes(d.about.Major, d.about.Minor)
	if err != nil {
		return err
	}
	if codes == nil {
		// A driver that brings kernels of its own, as in tests, takes no code.
		why, _ := kernels.For(d.about.Major, d.about.Minor)
		codes = []kernels.Code{{Target: why, Images: [][]byte{nil}}}
	}
	var refused error
	for _, code := range codes {
		if d.modules, err = loadAll(code.Images); err == nil {
			return nil
		}
		err = fmt.Errorf("code object %s: %w", code.Target, err)
		if refused != nil {
			err = fmt.Errorf("%w; %w", refused, err)
		}
		refused = err
	}
	return refused
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
		if f, err = m.Function(name); err == nil {
			return f, nil
		}
	}
	return f, err
}
