//go:build cgo && linux

package hostlib

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>

static void fail(void *f, const char *entry, uint64_t nth, int code) {
    ((void (*)(const char *, uint64_t, int))f)(entry, nth, code);
}
static uint64_t calls(void *f, const char *entry) { return ((uint64_t (*)(const char *))f)(entry); }
static int accesses(void *f, const char *path) { return ((int (*)(const char *))f)(path); }
static void number(void *f, uint64_t value) { ((void (*)(uint64_t))f)(value); }
*/
import "C"

import (
	"os"
	"testing"
	"unsafe"
)

// Driver controls the library that this process uses.
type Driver struct{ handle unsafe.Pointer }

// Loaded returns the library that this process uses. It returns false if the process has another driver or none.
func Loaded() (Driver, bool) {
	path := C.CString(os.Getenv("LOR2C_LIBCUDA"))
	defer C.free(unsafe.Pointer(path))
	d := Driver{C.dlopen(path, C.RTLD_NOW)}
	if d.handle == nil {
		return d, false
	}
	return d, d.find("lor2c_host_calls") != nil
}

func (d Driver) find(name string) unsafe.Pointer {
	s := C.CString(name)
	defer C.free(unsafe.Pointer(s))
	return C.dlsym(d.handle, s)
}

// Fail makes the nth call from now of a driver entry point, such as cuMemAlloc_v2, return the code. The name
// "kernel:NAME" stands for the nth run of a kernel. When the test ends, pending failures are cancelled and a lost
// context is restored.
func (d Driver) Fail(t testing.TB, entry string, nth uint64, code int) {
	s := C.CString(entry)
	defer C.free(unsafe.Pointer(s))
	C.fail(d.find("lor2c_host_fail"), s, C.uint64_t(nth), C.int(code))
	t.Cleanup(d.Repair)
}

// Repair cancels pending failures and restores a lost context.
func (d Driver) Repair() { C.number(d.find("lor2c_host_repair"), 0) }

// Calls returns how often an entry point was called, how often the kernel of "kernel:NAME" ran, or for "context" how
// many contexts were created.
func (d Driver) Calls(entry string) uint64 {
	s := C.CString(entry)
	defer C.free(unsafe.Pointer(s))
	return uint64(C.calls(d.find("lor2c_host_calls"), s))
}

// WriteAccesses writes what was counted so far to a file. The process must have LOR2C_HOST_MODE=accesses, and
// kernels/host/accesses.cpp says what the lines are.
func (d Driver) WriteAccesses(t testing.TB, path string) {
	t.Helper()
	s := C.CString(path)
	defer C.free(unsafe.Pointer(s))
	if C.accesses(d.find("lor2c_host_accesses"), s) == 0 {
		t.Fatalf("the counts of accesses cannot be written to %s", path)
	}
}

// SetMemory sets the memory of a card in bytes until the test ends.
func (d Driver) SetMemory(t testing.TB, bytes uint64) {
	f := d.find("lor2c_host_memory")
	C.number(f, C.uint64_t(bytes))
	t.Cleanup(func() { C.number(f, 0) })
}

// SetGraphMemory sets the memory that each kernel of a new graph takes on the card, until the test ends.
func (d Driver) SetGraphMemory(t testing.TB, bytes uint64) {
	f := d.find("lor2c_host_graph_memory")
	C.number(f, C.uint64_t(bytes))
	t.Cleanup(func() { C.number(f, 0) })
}

// Seed restarts all random orders from a seed.
func (d Driver) Seed(value uint64) { C.number(d.find("lor2c_host_seed"), C.uint64_t(value)) }
