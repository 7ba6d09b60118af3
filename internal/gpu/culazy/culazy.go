//go:build cuda && cgo && linux && amd64

// Package culazy stands in for libcuda when a binary is linked and opens the
// real one when it runs. So a binary with gorgonia.org/cu in it builds without
// CUDA and starts without a driver: every entry point that cu names is defined
// here as a jump through a table, which a C constructor fills with dlsym.
//
// LOR2C_LIBCUDA is opened in place of libcuda.so.1 where it is set.
package culazy

/*
#cgo LDFLAGS: -L${SRCDIR}/link -Wl,--as-needed
#include "culazy.h"
*/
import "C"

// NoLibrary is the code of Status where there is no libcuda.
const NoLibrary = C.NO_LIBRARY

// Status returns 0 where a driver is loaded and initialized, NoLibrary and the
// loader's words where there is none, and else the CUresult of cuInit, such as
// 100 for a driver without a device.
func Status() (code int, why string) {
	return int(C.culazy_status()), C.GoString(C.culazy_fault())
}

// Missing names the entry points that the driver lacks. Calling one answers
// CUDA_ERROR_NOT_SUPPORTED. It is empty where no driver is loaded.
func Missing() (names []string) {
	for i := C.int(0); ; i++ {
		name := C.culazy_absent(i)
		if name == nil {
			return names
		}
		names = append(names, C.GoString(name))
	}
}
