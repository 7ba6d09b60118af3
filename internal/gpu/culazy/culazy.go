//go:build cuda && cgo && linux && amd64

// Package culazy stands in for libcuda at link time and opens the real one at run time. So a binary that contains
// gorgonia.org/cu can be built without CUDA and starts without a driver. Every entry point that cu names is defined
// here as a jump through a table, which is filled with dlsym when the driver is opened.
//
// Status and Missing open the driver and initialize it. Commands that do not ask for a card call neither, so they do
// not wait for the driver. Before the first call of one of them, all entry points return CUDA_ERROR_NOT_INITIALIZED.
//
// If LOR2C_LIBCUDA is set, that library is opened instead of libcuda.so.1.
package culazy

/*
#cgo LDFLAGS: -L${SRCDIR}/link -Wl,--as-needed
#include "culazy.h"
*/
import "C"

// NoLibrary is the code that Status returns if there is no libcuda.
const NoLibrary = C.NO_LIBRARY

// Status opens and initializes the driver, unless an earlier call has done so. It returns 0 if that succeeded. If there
// is no driver it returns NoLibrary and the message of the loader. Otherwise it returns the CUresult of cuInit, such as
// 100 for a driver without a device.
func Status() (code int, why string) {
	return int(C.culazy_status()), C.GoString(C.culazy_fault())
}

// Missing returns the names of the entry points that the driver lacks. A call of one returns
// CUDA_ERROR_NOT_SUPPORTED. It returns none if no driver is loaded.
func Missing() (names []string) {
	for i := C.int(0); ; i++ {
		name := C.culazy_absent(i)
		if name == nil {
			return names
		}
		names = append(names, C.GoString(name))
	}
}
