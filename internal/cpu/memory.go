package cpu

import (
	"fmt"
	"math"
	"unsafe"

	"github.com/lor2c/lor2c/internal/compute"
)

// storage is the compute.Buffer of this package. A slab of the arena has both
// views of one memory, so that ids and activations share it.
type storage[T Float] struct {
	floats []T
	ints   []int32
	start  int64 // arena offset of the first byte
	bytes  int64
}

// newSlab returns an arena slab that begins at the given arena offset.
func newSlab[T Float](start, bytes int64) *storage[T] {
	// Words of 8 bytes are aligned for every element type.
	words := make([]uint64, (bytes+7)/8)
	p := unsafe.Pointer(unsafe.SliceData(words))
	return &storage[T]{
		floats: unsafe.Slice((*T)(p), bytes/int64(sizeof[T]())),
		ints:   unsafe.Slice((*int32)(p), bytes/4),
		start:  start,
		bytes:  bytes,
	}
}

// holds reports whether n bytes at arena offset off lie within s.
func (s *storage[T]) holds(off, n int64) bool {
	return off >= s.start && off+n <= s.start+s.bytes
}

// memory is the state behind compute.Memory.
type memory[T Float] struct {
	arena    compute.Arena
	slabs    []*storage[T] // by start; one, unless the arena grew in this step
	reserved int64         // 0: the arena may grow
	alloced  int64
	grown    int64
	syncs    int64
}

// Bytes returns the size of one element: Float and Full are both T.
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
		if t == compute.Int {
			buf.ints = make([]int32, s.Len())
		} else {
			buf.floats = make([]T, s.Len())
		}
		d.memory.alloced += int64(s.Len()) * d.Bytes(t)
	}
	return compute.Tensor{Shape: s, DType: t, Buf: buf}
}

// Free drops a tensor of Alloc and its memory. Views of it die with it.
func (d *Device[T]) Free(t compute.Tensor) {
	if d.err != nil || !t.Present() {
		return
	}
	buf := t.Buf.(*storage[T])
	d.memory.alloced -= 4*int64(len(buf.ints)) + int64(sizeof[T]()*len(buf.floats))
	buf.floats, buf.ints = nil, nil
}

// Reserve makes the arena one slab of the given size, empty as after Reset.
// From then on a Temp that does not fit is an error.
func (d *Device[T]) Reserve(bytes int64) {
	if d.err != nil {
		return
	}
	m := &d.memory
	m.arena.Reset()
	if len(m.slabs) != 1 || m.slabs[0].bytes < bytes {
		m.slabs = []*storage[T]{newSlab[T](0, bytes)}
	}
	m.reserved = m.slabs[0].bytes
}

// Temp returns a tensor of the step arena.
func (d *Device[T]) Temp(s compute.Shape, t compute.DType) compute.Tensor {
	out := compute.Tensor{Shape: s, DType: t}
	if d.err != nil {
		out.Buf = (*storage[T])(nil)
		return out
	}
	m := &d.memory
	size := d.Bytes(t)
	n := int64(s.Len()) * size
	off := m.arena.Alloc(n)
	slab := m.find(off, n)
	if slab == nil && m.reserved > 0 {
		d.fail(fmt.Errorf("cpu: step arena: with a tensor of %v it needs %d bytes, %d are reserved; reserve what the largest step needs", s, off+n, m.reserved))
		out.Buf = (*storage[T])(nil)
		return out
	}
	if slab == nil {
		slab = m.grow(off, n)
	}
	out.Buf, out.Off = slab, int((off-slab.start)/size)
	if invariants {
		poison[T](out)
	}
	return out
}

// find returns the slab with the n bytes at off, or nil. The newest is asked
// first: it begins at a tensor, so that none lies across its start.
func (m *memory[T]) find(off, n int64) *storage[T] {
	for i := len(m.slabs) - 1; i >= 0; i-- {
		if m.slabs[i].holds(off, n) {
			return m.slabs[i]
		}
	}
	return nil
}

// grow adds a slab that begins with the n bytes at off. Each is at least as
// large as all before it, so that few are needed.
func (m *memory[T]) grow(off, n int64) *storage[T] {
	const least = 1 << 20
	slab := newSlab[T](off, max(n, off, least))
	m.slabs = append(m.slabs, slab)
	m.grown++
	return slab
}

// Release returns one Temp tensor early.
func (d *Device[T]) Release(t compute.Tensor) {
	if d.err != nil || !t.Present() {
		return
	}
	slab := t.Buf.(*storage[T])
	size := d.Bytes(t.DType)
	off := slab.start + int64(t.Off)*size
	n := int64(t.Shape.Len()) * size
	// A tensor from before Reserve or Reset is not the arena's any more.
	if d.memory.find(off, n) == slab {
		d.memory.arena.Free(off, n)
	}
}

// Reset empties the arena, and makes it one slab if it grew.
func (d *Device[T]) Reset() {
	if d.err != nil {
		return
	}
	m := &d.memory
	m.arena.Reset()
	if len(m.slabs) > 1 {
		m.slabs = []*storage[T]{newSlab[T](0, m.arena.Peak())}
	}
}

// Upload copies to a Float or Full tensor.
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

// Download copies a Float or Full tensor, rounded to float32.
func (d *Device[T]) Download(dst []float32, src compute.Tensor) {
	d.memory.syncs++
	if d.err != nil {
		return
	}
	for i, v := range Data[T](src) {
		dst[i] = float32(v)
	}
}

// Stats returns the counters.
func (d *Device[T]) Stats() compute.Stats {
	m := &d.memory
	s := compute.Stats{
		PersistentBytes: m.alloced,
		ArenaPeak:       m.arena.Peak(),
		Grown:           m.grown,
		Syncs:           m.syncs,
	}
	for _, slab := range m.slabs {
		s.ArenaBytes += slab.bytes
	}
	return s
}

// poison fills a tensor with values that no op may read.
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
