//go:build cuda && cgo && linux && amd64

package driver

import (
	"fmt"
	"unsafe"

	"gorgonia.org/cu"
)

// Ptr is an address in device memory.
type Ptr uint64

// Alloc allocates device memory, aligned to at least 256 bytes. The error of
// too little has code OutOfMemory.
func Alloc(bytes int64) (Ptr, error) {
	p, err := cu.MemAlloc(bytes)
	return Ptr(p), failure(fmt.Sprintf("cuMemAlloc of %d bytes", bytes), err)
}

// Free frees what Alloc returned, after all work that was given to the device.
func Free(p Ptr) error { return failure("cuMemFree", cu.MemFree(cu.DevicePtr(p))) }

// Clear sets n bytes to value.
func Clear(p Ptr, value byte, n int64, s Stream) error {
	return failure("cuMemsetD8Async", cu.MemsetD8Async(cu.DevicePtr(p), value, n, s.s))
}

// Write copies src to the device and waits. It takes no order with streams:
// synchronize what may still use dst.
func Write(dst Ptr, src []byte) error {
	if len(src) == 0 {
		return nil
	}
	return failure("cuMemcpyHtoD", cu.MemcpyHtoD(cu.DevicePtr(dst), unsafe.Pointer(unsafe.SliceData(src)), int64(len(src))))
}

// Read fills dst from the device and waits. It takes no order with streams:
// synchronize what writes src.
func Read(dst []byte, src Ptr) error {
	if len(dst) == 0 {
		return nil
	}
	return failure("cuMemcpyDtoH", cu.MemcpyDtoH(unsafe.Pointer(unsafe.SliceData(dst)), cu.DevicePtr(src), int64(len(dst))))
}

// Pinned is host memory that the device can reach. An asynchronous copy reads
// and writes nothing else of the host, because the garbage collector knows
// nothing of what the device still uses.
type Pinned struct {
	p     unsafe.Pointer
	bytes int64
}

// Bytes is the memory as a slice, valid until Free.
func (p Pinned) Bytes() []byte { return unsafe.Slice((*byte)(p.p), p.bytes) }

// Free frees the memory. Nothing may be under way to or from it.
func (p Pinned) Free() error {
	return failure("cuMemFreeHost", cu.MemFreeHost(p.p))
}

func (p Pinned) within(offset, n int64) {
	if offset < 0 || n < 0 || offset+n > p.bytes {
		panic(fmt.Sprintf("driver: bytes %d to %d of %d in pinned memory", offset, offset+n, p.bytes))
	}
}

// Upload copies n bytes of src from offset to the device. They must stay as
// they are until the stream has done it.
func Upload(dst Ptr, src Pinned, offset, n int64, s Stream) error {
	src.within(offset, n)
	return failure("cuMemcpyHtoDAsync", cu.MemcpyHtoDAsync(cu.DevicePtr(dst), unsafe.Add(src.p, offset), n, s.s))
}

// Download copies n bytes of the device to dst from offset. They are there when
// the stream has done it.
func Download(dst Pinned, offset int64, src Ptr, n int64, s Stream) error {
	dst.within(offset, n)
	return failure("cuMemcpyDtoHAsync", cu.MemcpyDtoHAsync(unsafe.Add(dst.p, offset), cu.DevicePtr(src), n, s.s))
}
