//go:build cuda && cgo && linux && amd64

// Package driver is a typed interface to the part of the CUDA driver that lor2c uses. It calls gorgonia.org/cu for
// what cu does correctly; abi.go has what cu lacks or breaks. No other package imports cu.
//
//	Status, Missing, Version, Devices, Describe    what is there, without a context; these open the driver
//	Open, Context.Use, Memory, Synchronize, Close  the primary context
//	Load, Module.Function, Attributes              code
//	Alloc, Free, Clear, Read, Write                device memory
//	AllocPinned, Upload, Download                  host memory that the device reads and writes
//	NewStream, NewEvent, Elapsed                   order and time
//	Launch                                         many kernels in one call
//	Stream.Capture, Graph.Launch                   a step that is replayed
//	EncodeTiled                                    tensor maps of sm_90
//
// All groups except the first use the context that is current on the calling OS thread: callers must lock the
// goroutine to its thread and then call Open or Use. Every error is an *Error. After an error for which Sticky is
// true, no call on the context succeeds.
package driver

import (
	"fmt"
	"slices"
	"strings"

	"gorgonia.org/cu"

	"github.com/lor2c/lor2c/internal/gpu/culazy"
)

// NoLibrary is the code that Status returns if there is no libcuda.
const NoLibrary = culazy.NoLibrary

// Status opens and initializes the driver, unless an earlier call has done so. It returns 0 if that succeeded. If there
// is no driver it returns NoLibrary and the message of the loader. Otherwise it returns the code of cuInit, such as
// NoDevice.
func Status() (code int, why string) { return culazy.Status() }

// needed are the entry points that this package cannot do without. Package cu refers to others that are never called.
// The list omits cuFuncGetParamInfo (CUDA 12.4), without which only ArgumentSize fails, and cuTensorMapEncodeTiled
// (CUDA 12.0) and cuLaunchKernelEx, which no kernel uses yet.
var needed = strings.Fields(`
	cuInit cuDriverGetVersion cuDeviceGet cuDeviceGetAttribute cuDeviceGetCount cuDeviceGetName cuDeviceGetUuid cuDeviceTotalMem_v2
	cuDevicePrimaryCtxRetain cuDevicePrimaryCtxRelease_v2 cuCtxSetCurrent cuCtxSynchronize cuGetErrorName
	cuModuleLoadData cuModuleUnload cuModuleGetFunction cuFuncGetAttribute cuFuncSetAttribute
	cuMemAlloc_v2 cuMemFree_v2 cuMemGetInfo_v2 cuMemHostAlloc cuMemFreeHost cuMemsetD8Async
	cuMemcpyHtoD_v2 cuMemcpyDtoH_v2 cuMemcpyHtoDAsync_v2 cuMemcpyDtoHAsync_v2
	cuStreamCreate cuStreamDestroy_v2 cuStreamSynchronize
	cuEventCreate cuEventDestroy_v2 cuEventElapsedTime cuEventRecord cuEventSynchronize
	cuLaunchKernel cuStreamBeginCapture_v2 cuStreamEndCapture
	cuGraphInstantiateWithFlags cuGraphDestroy cuGraphExecDestroy cuGraphLaunch`)

// Missing returns the names of needed entry points that the driver lacks. It returns none if no driver is loaded.
func Missing() (names []string) {
	for _, name := range culazy.Missing() {
		if slices.Contains(needed, name) {
			names = append(names, name)
		}
	}
	return names
}

// Version returns the CUDA version that the driver supports, as 1000 major + 10 minor, such as 12040. Without a
// driver it is 0.
func Version() int {
	if code, _ := Status(); code == NoLibrary {
		return 0
	}
	return max(cu.Version(), 0)
}

// Devices returns the number of devices that CUDA_VISIBLE_DEVICES allows the process to use. It is 0 if Status is not
// 0.
func Devices() (int, error) {
	n, err := cu.NumDevices()
	return n, failure("cuDeviceGetCount", err)
}

// Properties describe a device.
type Properties struct {
	Name         string
	UUID         string // in the form of CUDA_VISIBLE_DEVICES
	Major, Minor int    // compute capability
	SMs          int    // multiprocessors
	SharedMemory int    // bytes that a block may use; see Function.SetDynamicShared
	TotalMemory  int64  // bytes
}

// Describe returns the properties of device i. i is less than Devices.
func Describe(i int) (p Properties, err error) {
	Status()
	d, err := cu.GetDevice(i)
	if err != nil {
		return p, failure("cuDeviceGet", err)
	}
	if p.Name, err = d.Name(); err != nil {
		return p, failure("cuDeviceGetName", err)
	}
	id, err := d.UUID()
	if err != nil {
		return p, failure("cuDeviceGetUuid", err)
	}
	p.UUID = "GPU-" + id.String()
	if p.TotalMemory, err = d.TotalMem(); err != nil {
		return p, failure("cuDeviceTotalMem", err)
	}
	for _, a := range []struct {
		to   *int
		name cu.DeviceAttribute
	}{
		{&p.Major, cu.ComputeCapabilityMajor},
		{&p.Minor, cu.ComputeCapabilityMinor},
		{&p.SMs, cu.MultiprocessorCount},
		{&p.SharedMemory, maxSharedMemoryOptin},
	} {
		if *a.to, err = d.Attribute(a.name); err != nil {
			return p, failure(fmt.Sprintf("cuDeviceGetAttribute(%d)", a.name), err)
		}
	}
	return p, nil
}

// maxSharedMemoryOptin is CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN.
const maxSharedMemoryOptin cu.DeviceAttribute = 97
