//go:build cuda && cgo && linux && amd64

package driver

import (
	"fmt"
	"unsafe"

	"gorgonia.org/cu"
)

// Module is code that is loaded into a context.
type Module struct{ m cu.Module }

// Load loads a cubin, a fat binary or the text of PTX. Of a fat binary the
// driver takes the cubin for its device, else it compiles the PTX.
func Load(image []byte) (Module, error) {
	// PTX must end in a zero; it ends one of LoadData's copy.
	m, err := cu.LoadData(string(image))
	return Module{m}, failure("cuModuleLoadData", err)
}

// Unload frees the module and what came out of it.
func (m Module) Unload() error { return failure("cuModuleUnload", m.m.Unload()) }

// Function is a kernel: a handle of the driver.
type Function uintptr

// Function looks up a kernel. An unknown name is an error with code NotFound.
func (m Module) Function(name string) (Function, error) {
	f, err := m.m.Function(name)
	// cu.Function is the handle and nothing else.
	return *(*Function)(unsafe.Pointer(&f)), failure("cuModuleGetFunction("+name+")", err)
}

// Attributes are what the compiler made of a kernel.
type Attributes struct {
	MaxThreads    int // of a block, by registers
	StaticShared  int // bytes of a block
	Local         int // bytes of a thread: spills and arrays
	Registers     int // of a thread
	PTXVersion    int // compute capability of the PTX, 80 for compute_80
	BinaryVersion int // compute capability of the machine code, 90 for sm_90a
}

// Attributes reads them.
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
