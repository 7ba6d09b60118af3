//go:build cuda && cgo && linux && amd64

package driver

/*
#cgo noescape launch_all
#cgo nocallback launch_all
#include <stdint.h>
#include <stddef.h>

// These are entry points that gorgonia.org/cu lacks, under their names in the binary interface. A handle is a
// pointer; a CUresult or a flag is an int. They need no CUDA header, which could be too old or too new.
int cuFuncGetParamInfo(void *function, size_t index, size_t *offset, size_t *size);
int cuFuncSetAttribute(void *function, int attribute, int value);
int cuGetErrorName(int code, const char **name);
int cuGraphDestroy(void *graph);
int cuGraphExecDestroy(void *exec);
int cuGraphInstantiateWithFlags(void **exec, void *graph, unsigned long long flags);
int cuGraphLaunch(void *exec, void *stream);
int cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   unsigned shared, void *stream, void **parameters, void **extra);
int cuLaunchKernelEx(const void *config, void *function, void **parameters, void **extra);
int cuMemHostAlloc(void **p, size_t bytes, unsigned flags);
int cuStreamBeginCapture_v2(void *stream, int mode);
int cuStreamEndCapture(void *stream, void **graph);
int cuTensorMapEncodeTiled(void *map, int type, uint32_t rank, void *address, const uint64_t *dims,
                           const uint64_t *strides, const uint32_t *box, const uint32_t *element_strides,
                           int interleave, int swizzle, int promotion, int fill);

// Record in launch.go.
struct launch {
    void *function;
    uint32_t grid[3], block[3], cluster[3], shared, offset, size;
};

// CUlaunchConfig with the only attribute that is used, CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION.
struct attribute {
    int id, pad;
    union { uint32_t dim[3]; char size[64]; } value;
};
struct config {
    uint32_t grid[3], block[3], shared;
    void *stream;
    struct attribute *attributes;
    uint32_t count;
};

// A kernel has one parameter, a struct. The driver takes its size from the kernel and copies it before it returns.
static int launch_one(const struct launch *l, char *args, void *stream) {
    void *parameters[] = {args + l->offset};
    if (!l->cluster[0])
        return cuLaunchKernel(l->function, l->grid[0], l->grid[1], l->grid[2], l->block[0], l->block[1], l->block[2],
                              l->shared, stream, parameters, NULL);
    struct attribute cluster = {4, 0, {{l->cluster[0], l->cluster[1], l->cluster[2]}}};
    struct config c = {{l->grid[0], l->grid[1], l->grid[2]}, {l->block[0], l->block[1], l->block[2]}, l->shared, stream,
                       &cluster, 1};
    return cuLaunchKernelEx(&c, l->function, parameters, NULL);
}

static int launch_all(const struct launch *records, int n, char *args, void *stream, int *done) {
    for (*done = 0; *done < n; ++*done) {
        int code = launch_one(&records[*done], args, stream);
        if (code) return code;
    }
    return 0;
}

static int argument_size(uintptr_t function, size_t *size) {
    size_t offset;
    return cuFuncGetParamInfo((void *)function, 0, &offset, size);
}

static int set_attribute(uintptr_t function, int attribute, int value) {
    return cuFuncSetAttribute((void *)function, attribute, value);
}

static int encode_tiled(void *map, int type, uint32_t rank, uint64_t address, const uint64_t *dims,
                        const uint64_t *strides, const uint32_t *box, const uint32_t *element_strides, int swizzle,
                        int promotion) {
    return cuTensorMapEncodeTiled(map, type, rank, (void *)address, dims, strides, box, element_strides, 0, swizzle,
                                  promotion, 0);
}
*/
import "C"

import (
	"fmt"
	"unsafe"
)

// errorName returns the driver's name for a code, or the code itself if it has no name.
func errorName(code int) string {
	var name *C.char
	if C.cuGetErrorName(C.int(code), &name) == 0 && name != nil {
		return C.GoString(name)
	}
	return fmt.Sprintf("CUDA error %d", code)
}

// ArgumentSize returns the size of the kernel's argument in bytes. If the driver is older than CUDA 12.4 the error
// has code NotSupported.
func (f Function) ArgumentSize() (int, error) {
	var size C.size_t
	code := C.argument_size(C.uintptr_t(f), &size)
	return int(size), fault("cuFuncGetParamInfo", int(code))
}

// SetDynamicShared allows launches with up to the given bytes of dynamic shared memory. Launches with more than 48
// KiB need it. The most is Properties.SharedMemory minus Attributes.StaticShared.
func (f Function) SetDynamicShared(bytes int) error {
	const maxDynamicSharedSize = 8
	code := C.set_attribute(C.uintptr_t(f), maxDynamicSharedSize, C.int(bytes))
	return fault(fmt.Sprintf("cuFuncSetAttribute, %d bytes of dynamic shared memory", bytes), int(code))
}

// AllocPinned allocates host memory for Upload and Download.
func AllocPinned(bytes int64) (Pinned, error) {
	var p unsafe.Pointer
	code := C.cuMemHostAlloc(&p, C.size_t(bytes), 0)
	return Pinned{p, bytes}, fault(fmt.Sprintf("cuMemHostAlloc of %d bytes", bytes), int(code))
}

func launch(records []Record, args []byte, s Stream) (done, code int) {
	var n C.int
	code = int(C.launch_all((*C.struct_launch)(unsafe.Pointer(unsafe.SliceData(records))), C.int(len(records)),
		(*C.char)(unsafe.Pointer(unsafe.SliceData(args))), s.handle(), &n))
	return int(n), code
}

// beginCapture starts a capture during which only the calling thread may not make calls that would break it.
func beginCapture(s Stream) int {
	const threadLocal = 1
	return int(C.cuStreamBeginCapture_v2(s.handle(), threadLocal))
}

func endCapture(s Stream) (template unsafe.Pointer, code int) {
	code = int(C.cuStreamEndCapture(s.handle(), &template))
	return template, code
}

func instantiate(template unsafe.Pointer) (exec unsafe.Pointer, code int) {
	code = int(C.cuGraphInstantiateWithFlags(&exec, template, 0))
	return exec, code
}

func destroyTemplate(template unsafe.Pointer) { C.cuGraphDestroy(template) }

func launchGraph(exec unsafe.Pointer, s Stream) int { return int(C.cuGraphLaunch(exec, s.handle())) }

func destroyGraph(exec unsafe.Pointer) int { return int(C.cuGraphExecDestroy(exec)) }

// TensorMap describes tiles of a tensor to the copy engine of sm_90. In a struct argument its offset must be a
// multiple of 64 bytes.
type TensorMap [128]byte

// Tile describes a tensor of bf16, innermost dimension first, and the box of it that one copy moves. Elements outside
// of the tensor are read as zero.
type Tile struct {
	Address Ptr      // multiple of 16
	Dims    []uint64 // elements
	Strides []uint64 // bytes, for all dimensions except the innermost; multiples of 16
	Box     []uint32 // elements, at most 256 each
	Swizzle int      // of shared memory: 0 none, 1 to 3 over 32, 64 or 128 bytes
}

// EncodeTiled returns the map of a tile. It needs a driver of CUDA 12.0 or later.
func EncodeTiled(t Tile) (TensorMap, error) {
	const (
		bf16           = 9 // CU_TENSOR_MAP_DATA_TYPE_BFLOAT16
		promotionL2128 = 2 // CU_TENSOR_MAP_L2_PROMOTION_L2_128B
	)
	if n := len(t.Dims); n == 0 || n > 5 || len(t.Strides) != n-1 || len(t.Box) != n {
		panic(fmt.Sprintf("driver: tensor map of %d dimensions, %d strides, %d box", n, len(t.Strides), len(t.Box)))
	}
	ones := []uint32{1, 1, 1, 1, 1}
	// The driver requires an address that is a multiple of 64.
	var buffer [2 * len(TensorMap{})]byte
	at := -uintptr(unsafe.Pointer(&buffer)) % 64
	code := C.encode_tiled(unsafe.Pointer(&buffer[at]), bf16, C.uint32_t(len(t.Dims)), C.uint64_t(t.Address),
		(*C.uint64_t)(unsafe.SliceData(t.Dims)), (*C.uint64_t)(unsafe.SliceData(t.Strides)),
		(*C.uint32_t)(unsafe.SliceData(t.Box)), (*C.uint32_t)(unsafe.SliceData(ones)), C.int(t.Swizzle), promotionL2128)
	return TensorMap(buffer[at:]), fault("cuTensorMapEncodeTiled", int(code))
}
