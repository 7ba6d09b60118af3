package cpu

import (
	"fmt"
	"math"
	"sync/atomic"
	"unsafe"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/sgemm"
)

// storage is the compute.Buffer of this package. In a slab of the arena, both slices are views of the same memory,
// because ids and activations share it.
type storage[T Float] struct {
	floats []T
	ints   []int32
	// weights has the elements of frozen weights, and of an NF4 tensor, instead of floats.
	weights *sgemm.Weights
}

// newSlab allocates a slab of the arena.
func newSlab[T Float](bytes int64) *storage[T] {
	// Words of 8 bytes have the alignment of every element type.
	words := make([]uint64, (bytes+7)/8)
	p := unsafe.Pointer(unsafe.SliceData(words))
	return &storage[T]{floats: unsafe.Slice((*T)(p), bytes/int64(sizeof[T]())), ints: unsafe.Slice((*int32)(p), bytes/4)}
}

// dropSlab does nothing: the garbage collector frees the slab.
func dropSlab[T Float](*storage[T]) {}

// memory is the state of the methods of compute.Memory.
type memory[T Float] struct {
	arena   compute.Slabs[*storage[T]]
	alloced int64
	syncs   int64
}

// Bytes returns the size of one element. Working and Exact are both T. In float64, frozen weights are T too.
func (d *Device[T]) Bytes(t compute.DType) int64 {
	switch {
	case t == compute.Int:
		return 4
	case single[T]() && (t == compute.BFloat16 || t == compute.Float16):
		return 2
	}
	return int64(sizeof[T]())
}

// Alloc returns a zeroed tensor.
func (d *Device[T]) Alloc(s compute.Shape, t compute.DType) compute.Tensor {
	buf := &storage[T]{}
	if d.err == nil {
		switch t {
		case compute.Int:
			buf.ints = make([]int32, s.Len())
		case compute.NF4:
			buf.weights = sgemm.NewFourBit(vectors, s.Rows(), s.Cols())
		default:
			buf.floats = make([]T, s.Len())
		}
		d.memory.alloced += compute.SizeOf(d, s, t)
	}
	return compute.Tensor{Shape: s, DType: t, Buf: buf}
}

// AllocFrozen returns weights in the order in which products read them, and in two bytes an element if d says so. In
// float64, and in float32 where no kernels read them, they are an ordinary tensor unless they take two bytes.
func (d *Device[T]) AllocFrozen(s compute.Shape, t compute.DType) compute.Tensor {
	if d.err != nil || !single[T]() || vectors == nil && t == compute.Working {
		return d.Alloc(s, compute.Working)
	}
	stored := map[compute.DType]sgemm.Storage{compute.BFloat16: sgemm.BFloat16, compute.Float16: sgemm.Float16}[t]
	w := sgemm.NewWeights(vectors, s[0], s[1], stored)
	d.memory.alloced += w.Bytes()
	return compute.Tensor{Shape: s, DType: compute.Working, Buf: &storage[T]{weights: w}}
}

// ReadsNF4 reports whether products read NF4 tensors, which they do in float32.
func (d *Device[T]) ReadsNF4() bool { return single[T]() }

// frozen returns the frozen weights or the elements in four bits of t, or nil if t is an ordinary tensor.
func frozen[T Float](t compute.Tensor) *sgemm.Weights {
	if t.Buf == nil {
		return nil
	}
	return t.Buf.(*storage[T]).weights
}

// Free drops a tensor of Alloc and its memory. Views of it must not be used afterwards.
func (d *Device[T]) Free(t compute.Tensor) {
	if d.err != nil || !t.Present() {
		return
	}
	buf := t.Buf.(*storage[T])
	if buf.weights != nil && t.DType != compute.NF4 {
		d.memory.alloced -= buf.weights.Bytes()
	} else {
		d.memory.alloced -= compute.SizeOf(d, t.Shape, t.DType)
	}
	*buf = storage[T]{}
}

// Reserve makes the arena one slab of at least the given size and empties it.
func (d *Device[T]) Reserve(bytes int64) {
	if d.err == nil {
		d.memory.arena.Reserve(bytes, newSlab[T], dropSlab[T])
	}
}

// Temp returns a tensor of the step arena.
func (d *Device[T]) Temp(s compute.Shape, t compute.DType) compute.Tensor {
	out := compute.Tensor{Shape: s, DType: t, Buf: (*storage[T])(nil)}
	if d.err != nil {
		return out
	}
	slab, at, err := d.memory.arena.Temp(s, d.Bytes(t), newSlab[T])
	if err != nil {
		d.fail(fmt.Errorf("cpu: %w", err))
		return out
	}
	out.Buf, out.Off = slab, int(at/d.Bytes(t))
	if invariants {
		poison[T](out)
	}
	return out
}

// Release frees a tensor of Temp before Reset.
func (d *Device[T]) Release(t compute.Tensor) {
	if d.err != nil || !t.Present() {
		return
	}
	size := d.Bytes(t.DType)
	d.memory.arena.Release(t.Buf.(*storage[T]), int64(t.Off)*size, int64(t.Shape.Len())*size)
}

// Reset empties the arena.
func (d *Device[T]) Reset() {
	if d.err == nil {
		d.memory.arena.Reset(newSlab[T], dropSlab[T])
	}
}

// Upload copies to a Working or Exact tensor.
func (d *Device[T]) Upload(dst compute.Tensor, src []float32) {
	if d.err != nil {
		return
	}
	if frozen[T](dst) != nil {
		d.uploadFrozen(dst, src)
		return
	}
	for i, out := 0, Data[T](dst); i < len(out); i++ {
		out[i] = T(src[i])
	}
}

// uploadFrozen sets frozen weights. Weights of which two bytes do not hold every element become float32.
func (d *Device[T]) uploadFrozen(dst compute.Tensor, src []float32) {
	buf := dst.Buf.(*storage[T])
	cols := dst.Shape[1]
	var inexact atomic.Bool
	set := func(_, lo, hi int) {
		if !buf.weights.Storage().Exact(src[lo*cols : hi*cols]) {
			inexact.Store(true)
			return
		}
		buf.weights.Set(src, lo, hi)
	}
	d.each(dst.Shape[0], sgemm.SetRows, set)
	if inexact.Load() {
		d.memory.alloced -= buf.weights.Bytes()
		buf.weights = sgemm.NewWeights(vectors, dst.Shape[0], cols, sgemm.Float32)
		d.memory.alloced += buf.weights.Bytes()
		d.each(dst.Shape[0], sgemm.SetRows, set)
	}
}

// UploadInts copies to an Int tensor.
func (d *Device[T]) UploadInts(dst compute.Tensor, src []int32) {
	if d.err == nil {
		copy(ints[T](dst), src[:dst.Shape.Len()])
	}
}

// UploadNF4 copies codes and scales to an NF4 tensor.
func (d *Device[T]) UploadNF4(dst compute.Tensor, codes []byte, scales []float32) {
	if d.err == nil {
		frozen[T](dst).SetFourBit(codes, scales)
	}
}

// Download copies a Working or Exact tensor, rounded to float32.
func (d *Device[T]) Download(dst []float32, src compute.Tensor) {
	d.memory.syncs++
	if d.err != nil {
		return
	}
	if w := frozen[T](src); w != nil {
		cols := src.Shape[1]
		d.each(src.Shape[0], sgemm.SetRows, func(_, lo, hi int) {
			for i := lo; i < hi; i++ {
				w.Row(dst[i*cols:(i+1)*cols], i, 0)
			}
		})
		return
	}
	if single[T]() {
		copy(dst, as32(Data[T](src)))
		return
	}
	for i, v := range Data[T](src) {
		dst[i] = float32(v)
	}
}

// Stats returns the counters. It reads the free memory from the system.
func (d *Device[T]) Stats() compute.Stats {
	m := &d.memory
	s := compute.Stats{PersistentBytes: m.alloced, Syncs: m.syncs, Host: true}
	if free, ok := ReadMemory(); ok {
		// A run that has to swap is slow, but it runs. 0 would say that nothing is known.
		s.Free = max(1, free.Free+free.Swap)
	}
	m.arena.Count(&s)
	return s
}

// poison fills a tensor with values that show in the result of every op that reads them.
func poison[T Float](t compute.Tensor) {
	if t.DType == compute.Int {
		for i, x := 0, ints[T](t); i < len(x); i++ {
			x[i] = math.MinInt32
		}
		return
	}
	for i, x := 0, Data[T](t); i < len(x); i++ {
		x[i] = T(math.NaN())
	}
}
