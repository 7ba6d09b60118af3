// Package cpu is the reference device: Go loops around matrix products.
//
// It is generic over float32, in which it trains, and float64, in which gradients are checked. Matrix products of float32
// run in package sgemm where the processor has its vector instructions, and all others in gonum. With the build tag
// openblas all of them run in OpenBLAS.
//
// Results are the same bits for any number of workers: work is cut into chunks
// by shape alone, and sums over chunks are taken in the order of the chunks.
package cpu

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"unsafe"

	"github.com/lor2c/lor2c/internal/compute"
)

// Float is what a device can compute in.
type Float interface{ float32 | float64 }

// Device implements compute.Device. Its methods must be called from one
// goroutine at a time.
type Device[T Float] struct {
	workers int
	err     error
	memory  memory[T]
	scratch []scratch[T] // by worker
	partial []T          // sums of chunks, before they are added in order
	sums    []float64    // the same for scalars
	// Packed factors of a product that all workers share.
	packedLeft, packedRight []float32
	claimed                 []atomic.Int64 // parts of each stage that workers have taken
}

var (
	_ compute.Device = (*Device[float32])(nil)
	_ compute.Device = (*Device[float64])(nil)
)

// Open returns a device that keeps at most workers goroutines busy; workers
// <= 0 stands for GOMAXPROCS.
func Open[T Float](workers int) *Device[T] {
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	return &Device[T]{workers: workers, scratch: make([]scratch[T], workers)}
}

// Data returns the storage of t, a Working or Exact tensor of a Device[T], for tests. It
// is no copy.
func Data[T Float](t compute.Tensor) []T {
	if t.Buf == nil {
		return nil
	}
	n := t.Shape.Len()
	return t.Buf.(*storage[T]).floats[t.Off : t.Off+n : t.Off+n]
}

// ints returns the storage of an Int tensor.
func ints[T Float](t compute.Tensor) []int32 {
	n := t.Shape.Len()
	return t.Buf.(*storage[T]).ints[t.Off : t.Off+n : t.Off+n]
}

// Name names the device, its precision, its parallelism and its BLAS.
func (d *Device[T]) Name() string {
	return fmt.Sprintf("cpu float%d, %d workers, %s", 8*sizeof[T](), d.workers, BLAS())
}

// Err returns the first failure.
func (d *Device[T]) Err() error { return d.err }

// Sync returns Err; nothing is ever queued.
func (d *Device[T]) Sync() error {
	d.memory.syncs++
	return d.err
}

var errClosed = errors.New("cpu: device is closed")

// Close lets the garbage collector have everything and returns Err.
func (d *Device[T]) Close() error {
	err := d.err
	if err == errClosed {
		return nil
	}
	*d = Device[T]{workers: d.workers, err: errClosed}
	return err
}

// fail keeps the first failure.
func (d *Device[T]) fail(err error) {
	if d.err == nil {
		d.err = err
	}
}

// sizeof returns the bytes of one T.
func sizeof[T Float]() int {
	var x T
	return int(unsafe.Sizeof(x))
}

// single reports whether T is float32. The compiler folds it to a constant.
func single[T Float]() bool {
	var x T
	return unsafe.Sizeof(x) == 4
}

// as32 views x as []float32. T must be float32.
func as32[T Float](x []T) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(x))), len(x))
}

// as64 views x as []float64. T must be float64.
func as64[T Float](x []T) []float64 {
	return unsafe.Slice((*float64)(unsafe.Pointer(unsafe.SliceData(x))), len(x))
}
