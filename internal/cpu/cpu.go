// Package cpu is the reference device. It consists of Go loops around matrix products.
//
// It is generic over float32, which is used for training, and float64, which is used to check gradients. Products of
// float32 run in package sgemm if the processor has the vector instructions for it, and all other products run in
// gonum. With the build tag openblas all products run in OpenBLAS.
//
// The bits of results do not depend on the number of workers: work is cut into chunks by shape alone, and sums over
// chunks are added in the order of the chunks.
package cpu

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/sgemm"
	"github.com/lor2c/lor2c/internal/team"
	"github.com/lor2c/lor2c/internal/vector"
)

// Float has the element types in which a device can compute.
type Float interface{ vector.Float }

// Device implements compute.Device. Its methods must be called from one
// goroutine at a time.
type Device[T Float] struct {
	workers int
	err     error
	memory  memory[T]
	scratch []scratch[T] // one per worker
	partial []T          // sums of chunks, before they are added in order
	sums    []float64    // the same for scalars
	// Packed factors of a product that all workers share.
	packedLeft, packedRight []float32
	// tileUnit has the kernels of the tile unit if linear layers run there, and the rest are its packed factors.
	tileUnit              *sgemm.Tiles
	tilesLeft, tilesRight []uint16
	team                  *team.Team
}

var (
	_ compute.Device = (*Device[float32])(nil)
	_ compute.Device = (*Device[float64])(nil)
)

// Open returns a device that uses at most the given number of goroutines at a time. If workers is 0 or less it is
// GOMAXPROCS.
func Open[T Float](workers int) *Device[T] {
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	d := &Device[T]{workers: workers, scratch: make([]scratch[T], workers), team: team.New(workers)}
	// A program may drop a device without closing it.
	runtime.AddCleanup(d, (*team.Team).Stop, d.team)
	return d
}

// Data returns the storage of t, a Working or Exact tensor of a Device[T], without copying it. It is for tests.
func Data[T Float](t compute.Tensor) []T {
	if t.Buf == nil {
		return nil
	}
	if frozen[T](t) != nil {
		panic(fmt.Sprintf("cpu: frozen weights %v are an operand of an op that does not read them", t.Shape))
	}
	n := t.Shape.Len()
	return t.Buf.(*storage[T]).floats[t.Off : t.Off+n : t.Off+n]
}

// ints returns the storage of an Int tensor.
func ints[T Float](t compute.Tensor) []int32 {
	n := t.Shape.Len()
	return t.Buf.(*storage[T]).ints[t.Off : t.Off+n : t.Off+n]
}

// Name returns the name of the device with its precision, its number of workers and what multiplies matrices.
func (d *Device[T]) Name() string {
	workers := place.Count(d.workers, "worker", "workers")
	return fmt.Sprintf("cpu float%d, %s, %s", 8*sizeof[T](), workers, d.Products())
}

// Err returns the first failure.
func (d *Device[T]) Err() error { return d.err }

// Sync returns Err; nothing is ever queued.
func (d *Device[T]) Sync() error {
	d.memory.syncs++
	return d.err
}

var errClosed = errors.New("cpu: device is closed")

// Close drops all memory and returns Err.
func (d *Device[T]) Close() error {
	err := d.err
	if err == errClosed {
		return nil
	}
	d.team.Stop()
	*d = Device[T]{workers: d.workers, err: errClosed}
	return err
}

// fail keeps err if it is the first failure.
func (d *Device[T]) fail(err error) {
	if d.err == nil {
		d.err = err
	}
}

// sizeof returns the size of T in bytes.
func sizeof[T Float]() int {
	var x T
	return int(unsafe.Sizeof(x))
}

// single reports whether T is float32. The compiler evaluates it as a constant.
func single[T Float]() bool {
	var x T
	return unsafe.Sizeof(x) == 4
}

// as32 returns x as a []float32. T must be float32.
func as32[T Float](x []T) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(x))), len(x))
}

// of32 returns x as a []T. T must be float32.
func of32[T Float](x []float32) []T {
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(x))), len(x))
}

// as64 returns x as a []float64. T must be float64.
func as64[T Float](x []T) []float64 {
	return unsafe.Slice((*float64)(unsafe.Pointer(unsafe.SliceData(x))), len(x))
}
