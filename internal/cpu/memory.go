package cpu

import (
	"fmt"
	"math"
	"unsafe"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/nf4"
)

// storage is the compute.Buffer of this package. In a slab of the arena, both slices are views of the same memory,
// because ids and activations share it.
type storage[T Float] struct {
	floats []T
	ints   []int32
	// An NF4 tensor has codes and scales and nothing else.
	codes  []byte
	scales []float32
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

// Bytes returns the size of one element. Working and Exact are both T.
func (d *Device[T]) Bytes(t compute.DType) int64 {
	if t == compute.Int {
		return 4
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
			buf.codes, buf.scales = make([]byte, (s.Len()+1)/2), make([]float32, (s.Len()+nf4.Block-1)/nf4.Block)
		default:
			buf.floats = make([]T, s.Len())
		}
		d.memory.alloced += compute.SizeOf(d, s, t)
	}
	return compute.Tensor{Shape: s, DType: t, Buf: buf}
}

// Free drops a tensor of Alloc and its memory. Views of it must not be used afterwards.
func (d *Device[T]) Free(t compute.Tensor) {
	if d.err != nil || !t.Present() {
		return
	}
	buf := t.Buf.(*storage[T])
	d.memory.alloced -= compute.SizeOf(d, t.Shape, t.DType)
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
	for i, out := 0, Data[T](dst); i < len(out); i++ {
		out[i] = T(src[i])
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
		buf := dst.Buf.(*storage[T])
		copy(buf.codes, codes[:len(buf.codes)])
		copy(buf.scales, scales[:len(buf.scales)])
	}
}

// Download copies a Working or Exact tensor, rounded to float32.
func (d *Device[T]) Download(dst []float32, src compute.Tensor) {
	d.memory.syncs++
	if d.err != nil {
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
