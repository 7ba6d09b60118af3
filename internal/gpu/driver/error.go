//go:build cuda && cgo && linux && amd64

package driver

import (
	"fmt"
	"reflect"
)

// Codes of Error that callers distinguish. They are values of CUresult in the CUDA driver API.
const (
	InvalidValue          = 1
	OutOfMemory           = 2
	NotInitialized        = 3
	NoDevice              = 100
	InvalidImage          = 200
	NoBinaryForGPU        = 209
	ECCUncorrectable      = 214
	InvalidPTX            = 218
	NoCompiler            = 221 // CUDA_ERROR_JIT_COMPILER_NOT_FOUND
	UnsupportedPTXVersion = 222
	CompilerDisabled      = 223 // CUDA_ERROR_JIT_COMPILATION_DISABLED
	InvalidSource         = 300
	NotFound              = 500
	IllegalAddress        = 700
	LaunchTimeout         = 702
	LaunchFailed          = 719
	NotSupported          = 801
	Unknown               = 999
)

// Error is the error of a driver call, or of earlier work whose failure the driver reports at that call.
type Error struct {
	Code int    // CUresult
	Name string // such as CUDA_ERROR_OUT_OF_MEMORY
	Call string // entry point, such as cuMemAlloc, and its subject
}

func (e *Error) Error() string { return fmt.Sprintf("driver: %s: %s (%d)", e.Call, e.Name, e.Code) }

// Sticky reports whether the context is lost, so that no later call on it succeeds. That is the case after a failure
// of memory or of a link, and after a fault of a running kernel.
func (e *Error) Sticky() bool {
	switch e.Code {
	case ECCUncorrectable, nvlinkUncorrectable, contained, IllegalAddress, LaunchTimeout, contextIsDestroyed, deviceAssert,
		hardwareStackError, illegalInstruction, misalignedAddress, invalidAddressSpace, invalidPC, LaunchFailed, Unknown:
		return true
	}
	return false
}

const (
	nvlinkUncorrectable = 220
	contained           = 226
	contextIsDestroyed  = 709
	deviceAssert        = 710
	hardwareStackError  = 714
	illegalInstruction  = 715
	misalignedAddress   = 716
	invalidAddressSpace = 717
	invalidPC           = 718
)

// fault returns the error for a CUresult, or nil for success.
func fault(call string, code int) error {
	if code == 0 {
		return nil
	}
	return &Error{code, errorName(code), call}
}

// failure returns an *Error for an error of package cu, which does not export its type.
func failure(call string, err error) error {
	if err == nil {
		return nil
	}
	if v := reflect.ValueOf(err); v.Kind() == reflect.Int {
		return fault(call, int(v.Int()))
	}
	return fmt.Errorf("driver: %s: %w", call, err)
}
