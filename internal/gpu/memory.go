//go:build cuda && cgo && linux && amd64

package gpu

import (
	"errors"
	"fmt"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/gpu/driver"
)

// ptr is an address on the card; 0 is no tensor.
type ptr uint64

// buffer is the compute.Buffer of this package: an allocation of its own, or a
// slab of the step arena that begins at an arena offset.
type buffer struct {
	base  ptr
	start int64
	bytes int64
}

// memory is the state behind compute.Memory.
type memory struct {
	arena    compute.Arena
	slabs    []*buffer    // by start; one, unless the arena grew in this step
	reserved int64        // 0: the arena may grow
	live     map[ptr]bool // what Close frees
	alloced  int64
	scratch  int64 // of the device itself
	grown    int64
	syncs    int64
}

// scratchBytes bounds what an op may use for partial sums.
const scratchBytes = 64 << 20

// Bytes returns the size of an element.
func (d *Device) Bytes(t compute.DType) int64 {
	if t == compute.Float && d.narrow {
		return 2
	}
	return 4
}

// at returns the address of t's first element, 0 for an absent tensor.
func (d *Device) at(t compute.Tensor) ptr {
	b, _ := t.Buf.(*buffer)
	if b == nil {
		return 0 // absent, or of a device that has failed
	}
	return b.base + ptr(int64(t.Off)*d.Bytes(t.DType))
}

// allocate takes memory from the card, filled with zeros. what goes into the
// error.
func (d *Device) allocate(bytes int64, what string) *buffer {
	b := &buffer{bytes: bytes}
	if d.err != nil {
		return b
	}
	n := max(bytes, 1)
	d.fail(d.run(func() error {
		p, err := driver.Alloc(n)
		var fault *driver.Error
		if errors.As(err, &fault) && fault.Code == driver.OutOfMemory {
			free, total, _ := d.card.Memory()
			return fmt.Errorf("gpu: allocate %s: %d bytes needed, %d of %d free: %w", what, n, free, total, compute.ErrOutOfMemory)
		}
		if err != nil {
			return d.explain("allocate "+what, err)
		}
		b.base = ptr(p)
		d.mem.live[b.base] = true
		return d.explain("clear "+what, driver.Clear(p, 0, n, d.stream))
	}))
	return b
}

// Alloc returns a zeroed tensor.
func (d *Device) Alloc(s compute.Shape, t compute.DType) compute.Tensor {
	bytes := int64(s.Len()) * d.Bytes(t)
	b := d.allocate(bytes, fmt.Sprintf("a tensor of %v", s))
	if d.err == nil {
		d.mem.alloced += bytes
	}
	return compute.Tensor{Shape: s, DType: t, Buf: b}
}

// Free waits for the ops that may read t and returns its memory.
func (d *Device) Free(t compute.Tensor) {
	if d.err != nil || !t.Present() {
		return
	}
	b := t.Buf.(*buffer)
	d.mem.alloced -= b.bytes
	d.release(b)
}

// release waits for what is queued and returns memory to the card.
func (d *Device) release(b *buffer) {
	d.wait()
	if d.err != nil || b.base == 0 {
		return
	}
	d.fail(d.run(func() error { return d.explain("free", driver.Free(driver.Ptr(b.base))) }))
	delete(d.mem.live, b.base)
	b.base = 0
}

// Reserve makes the arena one slab of the given size, empty as after Reset.
// From then on a Temp that does not fit is an error.
func (d *Device) Reserve(bytes int64) {
	if d.err != nil {
		return
	}
	m := &d.mem
	m.arena.Reset()
	if len(m.slabs) != 1 || m.slabs[0].bytes < bytes {
		d.newArena(bytes)
	}
	if d.err == nil {
		m.reserved = m.slabs[0].bytes
	}
}

// newArena replaces the slabs by one.
func (d *Device) newArena(bytes int64) {
	for _, b := range d.mem.slabs {
		d.release(b)
	}
	d.mem.slabs = []*buffer{d.allocate(bytes, "the step arena")}
}

// Temp returns a tensor of the step arena.
func (d *Device) Temp(s compute.Shape, t compute.DType) compute.Tensor {
	out := compute.Tensor{Shape: s, DType: t, Buf: (*buffer)(nil)}
	if d.err != nil {
		return out
	}
	m := &d.mem
	size := d.Bytes(t)
	n := int64(s.Len()) * size
	off := m.arena.Alloc(n)
	slab := m.find(off, n)
	if slab == nil && m.reserved > 0 {
		d.fail(fmt.Errorf("gpu: step arena: with a tensor of %v it needs %d bytes, %d are reserved; reserve what the largest step needs", s, off+n, m.reserved))
		return out
	}
	if slab == nil {
		if slab = d.grow(off, n); d.err != nil {
			return out
		}
	}
	out.Buf, out.Off = slab, int((off-slab.start)/size)
	return out
}

// find returns the slab with the n bytes at off, or nil. The newest is asked
// first: it begins at a tensor, so that none lies across its start.
func (m *memory) find(off, n int64) *buffer {
	for i := len(m.slabs) - 1; i >= 0; i-- {
		if b := m.slabs[i]; off >= b.start && off+n <= b.start+b.bytes {
			return b
		}
	}
	return nil
}

// grow adds a slab that begins with the n bytes at off. Each is at least as
// large as all before it, so that few are needed.
func (d *Device) grow(off, n int64) *buffer {
	const least = 1 << 20
	b := d.allocate(max(n, off, least), "the step arena")
	b.start = off
	d.mem.slabs = append(d.mem.slabs, b)
	d.mem.grown++
	return b
}

// Release returns one Temp tensor early.
func (d *Device) Release(t compute.Tensor) {
	if d.err != nil || !t.Present() {
		return
	}
	b := t.Buf.(*buffer)
	size := d.Bytes(t.DType)
	off, n := b.start+int64(t.Off)*size, int64(t.Shape.Len())*size
	// A tensor from before Reserve or Reset is not the arena's any more.
	if d.mem.find(off, n) == b {
		d.mem.arena.Free(off, n)
	}
}

// Reset submits what is queued and empties the arena, which becomes one slab if
// it grew.
func (d *Device) Reset() {
	d.submit()
	if d.err != nil {
		return
	}
	d.mem.arena.Reset()
	if len(d.mem.slabs) > 1 {
		d.newArena(d.mem.arena.Peak())
	}
}

// Stats returns the counters.
func (d *Device) Stats() compute.Stats {
	m := &d.mem
	s := compute.Stats{PersistentBytes: m.alloced, ScratchBytes: m.scratch, ArenaPeak: m.arena.Peak(), Grown: m.grown, Syncs: m.syncs}
	for _, b := range m.slabs {
		s.ArenaBytes += b.bytes
	}
	if d.err == nil {
		d.fail(d.run(func() (err error) {
			s.Free, _, err = d.card.Memory()
			return d.explain("ask for free memory", err)
		}))
	}
	return s
}
