//go:build cuda && cgo && linux && amd64

// Package driver is what lor2c needs of the CUDA driver, typed. It takes
// gorgonia.org/cu where cu has it right; what cu lacks or breaks is in abi.go.
// No other package imports cu.
//
//	Status, Missing, Version, Devices, Describe    what is there, without a context
//	Open, Context.Use, Memory, Synchronize, Close  the primary context
//	Load, Module.Function, Attributes              code
//	Alloc, Free, Clear, Read, Write                device memory
//	AllocPinned, Upload, Download                  host memory that the device reads and writes
//	NewStream, NewEvent, Elapsed                   order and time
//	Launch                                         many kernels in one call
//	Stream.Capture, Graph.Launch                   a step that is replayed
//	EncodeTiled                                    tensor maps of sm_90
//
// Everything but the first group works on the context that is current on the
// calling OS thread: lock the goroutine to its thread, then Open or Use. Every
// error is an *Error. After one that Sticky reports, no call on the context
// succeeds any more.
package driver

import (
	"fmt"
	"slices"
	"strings"

	"gorgonia.org/cu"

	"github.com/lor2c/lor2c/internal/gpu/culazy"
)

// NoLibrary is the code of Status where there is no libcuda.
const NoLibrary = culazy.NoLibrary

// Status returns 0 where a driver is loaded and initialized, NoLibrary and the
// loader's words where there is none, and else the code of cuInit, such as
// NoDevice.
func Status() (code int, why string) { return culazy.Status() }

// needed are the entry points that this package calls; what package cu refers to
// besides is never called. Left out are cuFuncGetParamInfo, of CUDA
// 12.4, without which ArgumentSize is unknown, and cuTensorMapEncodeTiled, of
// 12.0, and cuLaunchKernelEx, which no kernel uses yet that every card can run.
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

// Missing names the entry points that this package calls and this driver lacks.
// It is empty where no driver is loaded.
func Missing() (names []string) {
	for _, name := range culazy.Missing() {
		if slices.Contains(needed, name) {
			names = append(names, name)
		}
	}
	return names
}

// Version returns the CUDA version that the driver supports, as 1000 major +
// 10 minor, such as 12040; 0 without a driver.
func Version() int {
	if code, _ := Status(); code == NoLibrary {
		return 0
	}
	return max(cu.Version(), 0)
}

// Devices returns the number of devices that the process may use, after
// CUDA_VISIBLE_DEVICES; 0 where Status is not 0.
func Devices() (int, error) {
	n, err := cu.NumDevices()
	return n, failure("cuDeviceGetCount", err)
}

// Properties describe a device.
type Properties struct {
	Name         string
	UUID         string // as CUDA_VISIBLE_DEVICES takes it
	Major, Minor int    // compute capability
	SMs          int    // multiprocessors
	SharedMemory int    // bytes that a block may ask for, see Function.SetDynamicShared
	TotalMemory  int64  // bytes
}

// Describe returns the properties of device i of Devices.
func Describe(i int) (p Properties, err error) {
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
