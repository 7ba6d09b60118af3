//go:build cuda && cgo && linux && amd64

package gpu

import (
	"errors"
	"fmt"
	"slices"

	"github.com/lor2c/lor2c/internal/compute"
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

// kernel is a loaded kernel.
type kernel struct {
	driver.Function
	shared int // bytes of dynamic shared memory that launches may use
}

// defaultShared is the shared memory that every kernel may use without SetDynamicShared.
const defaultShared = 48 << 10

// kernel returns the handle of a kernel that may use the given bytes of shared memory. The first time, it looks up the
// kernel and checks its argument size and block size against those of the caller. It runs on the device's thread.
func (d *Device) kernel(name string, args, block, shared int) (driver.Function, error) {
	k, ok := d.found[name]
	if ok && shared <= k.shared {
		return k.Function, nil
	}
	if !ok {
		var err error
		if k.Function, err = d.function(name); err != nil {
			return 0, d.explain("find a kernel", err)
		}
		k.shared = defaultShared
		if err := k.agree(name, args, block); err != nil {
			return 0, err
		}
	}
	if shared > k.shared {
		k.shared = shared
		if err := k.SetDynamicShared(shared); err != nil {
			return 0, d.explain("give "+name+" shared memory", err)
		}
	}
	d.found[name] = k
	return k.Function, nil
}

// agree returns an error if the kernel does not take an argument of args bytes or cannot run with the given number of
// threads per block.
func (k kernel) agree(name string, args, block int) error {
	// Drivers before CUDA 12.4 cannot return the size.
	if size, err := k.ArgumentSize(); err == nil && size != args {
		return fmt.Errorf("gpu: kernel %s takes an argument of %d bytes, the caller passes %d; this is a bug in lor2c",
			name, size, args)
	}
	a, err := k.Attributes()
	if err != nil {
		return fmt.Errorf("gpu: read the attributes of kernel %s: %w", name, err)
	}
	if a.MaxThreads < block {
		return fmt.Errorf("gpu: kernel %s is built for blocks of %d threads, the caller uses %d; this is a bug in lor2c",
			name, a.MaxThreads, block)
	}
	return nil
}

// named returns the name of an op's kernel for the working precision of the device.
func (d *Device) named(op string) string { return d.typed(op, compute.Working) }

// typed returns the name of an op's kernel for a type.
func (d *Device) typed(op string, t compute.DType) string {
	if d.Bytes(t) == 2 {
		return op + "_bf16"
	}
	return op + "_f32"
}
