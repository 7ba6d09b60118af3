//go:build cuda && cgo && linux && amd64

package driver

import (
	"fmt"
	"unsafe"

	"gorgonia.org/cu"
)

// Module is code that has been loaded into a context.
type Module struct{ m cu.Module }

// Load loads a cubin, a fat binary or the text of PTX. From a fat binary the driver takes the cubin for its device,
// or compiles the PTX if there is none.
func Load(image []byte) (Module, error) {
	// PTX must end with a zero byte, which the copy that LoadData makes has.
	m, err := cu.LoadData(string(image))
	return Module{m}, failure("cuModuleLoadData", err)
}

// Unload frees the module and its functions.
func (m Module) Unload() error { return failure("cuModuleUnload", m.m.Unload()) }

// Function is a kernel: a handle of the driver.
type Function uintptr

// Function looks up a kernel. An unknown name is an error with code NotFound.
func (m Module) Function(name string) (Function, error) {
	f, err := m.m.Function(name)
	// cu.Function has no field besides the handle.
	return *(*Function)(unsafe.Pointer(&f)), failure("cuModuleGetFunction("+name+")", err)
}

// Attributes are the resources that the compiler assigned to a kernel.
type Attributes struct {
	MaxThreads    int // largest number of threads of a block
	StaticShared  int // bytes per block
	Local         int // bytes per thread: spills and arrays
	Registers     int // per thread
	PTXVersion    int // compute capability of the PTX, 80 for compute_80
	BinaryVersion int // compute capability of the machine code, 90 for sm_90a
}

// Attributes returns the attributes of f.
func (f Function) Attributes() (a Attributes, err error) {
	for _, of := range []struct {
		to   *int
		name cu.FunctionAttribute
	}{
		{&a.MaxThreads, 0}, {&a.StaticShared, 1}, {&a.Local, 3}, {&a.Registers, 4}, {&a.PTXVersion, 5}, {&a.BinaryVersion, 6},
	} {
		handle := f
		if *of.to, err = (*cu.Function)(unsafe.Pointer(&handle)).Attribute(of.name); err != nil {
			return a, failure(fmt.Sprintf("cuFuncGetAttribute(%d)", of.name), err)
		}
	}
	return a, nil
}
