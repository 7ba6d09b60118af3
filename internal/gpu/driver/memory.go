//go:build cuda && cgo && linux && amd64

package driver

import (
	"fmt"
	"unsafe"

	"gorgonia.org/cu"
)

// Ptr is an address in device memory.
type Ptr uint64

// Alloc allocates device memory, aligned to at least 256 bytes. If there is too little the error has code
// OutOfMemory.
func Alloc(bytes int64) (Ptr, error) {
	p, err := cu.MemAlloc(bytes)
	return Ptr(p), failure(fmt.Sprintf("cuMemAlloc of %d bytes", bytes), err)
}

// Free frees memory of Alloc when all work that was queued before is done.
func Free(p Ptr) error { return failure("cuMemFree", cu.MemFree(cu.DevicePtr(p))) }

// Clear sets n bytes to value.
func Clear(p Ptr, value byte, n int64, s Stream) error {
	return failure("cuMemsetD8Async", cu.MemsetD8Async(cu.DevicePtr(p), value, n, s.s))
}

// Write copies src to the device and waits. It is not ordered with streams: callers must first synchronize with work
// that may use dst.
func Write(dst Ptr, src []byte) error {
	if len(src) == 0 {
		return nil
	}
	return failure(
		"cuMemcpyHtoD", cu.MemcpyHtoD(cu.DevicePtr(dst), unsafe.Pointer(unsafe.SliceData(src)), int64(len(src))),
	)
}

// Read fills dst from the device and waits. It is not ordered with streams: callers must first synchronize with work
// that writes src.
func Read(dst []byte, src Ptr) error {
	if len(dst) == 0 {
		return nil
	}
	return failure(
		"cuMemcpyDtoH", cu.MemcpyDtoH(unsafe.Pointer(unsafe.SliceData(dst)), cu.DevicePtr(src), int64(len(dst))),
	)
}

// Pinned is host memory that the device can access. Asynchronous copies use only such memory, because the garbage
// collector does not know which other memory the device still uses.
type Pinned struct {
	p     unsafe.Pointer
	bytes int64
}

// Bytes returns the memory as a slice, which is valid until Free.
func (p Pinned) Bytes() []byte { return unsafe.Slice((*byte)(p.p), p.bytes) }

// Free frees the memory. No copy to or from it may be in progress.
func (p Pinned) Free() error {
	return failure("cuMemFreeHost", cu.MemFreeHost(p.p))
}

func (p Pinned) within(offset, n int64) {
	if offset < 0 || n < 0 || offset+n > p.bytes {
		panic(fmt.Sprintf("driver: bytes %d to %d of %d in pinned memory", offset, offset+n, p.bytes))
	}
}

// Upload queues a copy of n bytes of src, from offset on, to the device. The bytes must not change until the stream
// has copied them.
func Upload(dst Ptr, src Pinned, offset, n int64, s Stream) error {
	src.within(offset, n)
	return failure("cuMemcpyHtoDAsync", cu.MemcpyHtoDAsync(cu.DevicePtr(dst), unsafe.Add(src.p, offset), n, s.s))
}

// Download queues a copy of n bytes of the device to dst, from offset on. They are valid when the stream has copied
// them.
func Download(dst Pinned, offset int64, src Ptr, n int64, s Stream) error {
	dst.within(offset, n)
	return failure("cuMemcpyDtoHAsync", cu.MemcpyDtoHAsync(unsafe.Add(dst.p, offset), cu.DevicePtr(src), n, s.s))
}
