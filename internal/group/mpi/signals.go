//go:build (mpi || cuda) && linux && (amd64 || arm64)

package mpi

import (
	"syscall"
	"unsafe"
)

// handlers has what the kernel knows of the handlers of all signals.
type handlers [64]struct{ handler, flags, restorer, mask uint64 }

// readHandlers returns the present handlers. Libraries below MPI, such as UCX, install their own for a nil pointer and
// other faults, which Go turns into panics, so they are put back.
func readHandlers() *handlers {
	h := new(handlers)
	for i := range h {
		_, _, _ = syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(i+1), 0, uintptr(unsafe.Pointer(&h[i])), 8, 0, 0)
	}
	return h
}

// restore puts the handlers back. The kernel refuses that for the two signals that have none.
func (h *handlers) restore() {
	for i := range h {
		_, _, _ = syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(i+1), uintptr(unsafe.Pointer(&h[i])), 0, 8, 0, 0)
	}
}
