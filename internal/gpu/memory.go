//go:build cuda && cgo && linux && amd64

package gpu

import (
	"errors"
	"fmt"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/gpu/driver"
)

// buffer is the compute.Buffer of this package: memory of one tensor, or a slab of the step arena.
type buffer struct {
	base  ptr
	bytes int64
}

// memory is the state of the methods of compute.Memory.
type memory struct {
	arena   compute.Slabs[*buffer]
	live    map[ptr]bool // allocations that Close must free
	alloced int64
	scratch int64 // bytes that the device allocated for its own use
	syncs   int64
}

// scratchBytes is the memory that an op may use for partial sums.
const scratchBytes = 64 << 20

// allocate allocates memory on the card and fills it with zeros. what describes the memory in the error.
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
			return fmt.Errorf(
				"gpu: allocate %s: %d bytes needed, %d of %d free: %w", what, n, free, total, compute.ErrOutOfMemory,
			)
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
	bytes := compute.SizeOf(d, s, t)
	b := d.allocate(bytes, fmt.Sprintf("a tensor of %v", s))
	if d.err == nil {
		d.mem.alloced += bytes
	}
	return compute.Tensor{Shape: s, DType: t, Buf: b}
}

// AllocFrozen returns a tensor of Alloc in Working, however the weights may be stored.
func (d *Device) AllocFrozen(s compute.Shape, _ compute.DType) compute.Tensor {
	return d.Alloc(s, compute.Working)
}

// Free waits for the ops that may read t and frees its memory.
func (d *Device) Free(t compute.Tensor) {
	if d.err != nil || !t.Present() {
		return
	}
	b := t.Buf.(*buffer)
	d.mem.alloced -= b.bytes
	d.release(b)
}

// release submits the queue, waits for the card and frees memory.
func (d *Device) release(b *buffer) {
	d.wait()
	if d.err != nil || b.base == 0 {
		return
	}
	d.fail(d.run(func() error { return d.explain("free", driver.Free(driver.Ptr(b.base))) }))
	delete(d.mem.live, b.base)
	b.base = 0
}

// newSlab allocates a slab of the step arena.
func (d *Device) newSlab(bytes int64) *buffer { return d.allocate(bytes, "the step arena") }

// Reserve makes the arena one slab of at least the given size and empties it.
func (d *Device) Reserve(bytes int64) {
	if d.err == nil {
		d.mem.arena.Reserve(bytes, d.newSlab, d.release)
	}
}

// Temp returns a tensor of the step arena.
func (d *Device) Temp(s compute.Shape, t compute.DType) compute.Tensor {
	out := compute.Tensor{Shape: s, DType: t, Buf: (*buffer)(nil)}
	if d.err != nil {
		return out
	}
	slab, at, err := d.mem.arena.Temp(s, d.Bytes(t), d.newSlab)
	if err != nil {
		d.fail(fmt.Errorf("gpu: %w", err))
	}
	if d.err == nil {
		out.Buf, out.Off = slab, int(at/d.Bytes(t))
	}
	return out
}

// Release frees a tensor of Temp before Reset.
func (d *Device) Release(t compute.Tensor) {
	if d.err != nil || !t.Present() {
		return
	}
	size := d.Bytes(t.DType)
	d.mem.arena.Release(t.Buf.(*buffer), int64(t.Off)*size, int64(t.Shape.Len())*size)
}

// Reset submits the queue and empties the arena.
func (d *Device) Reset() {
	d.submit()
	if d.err != nil {
		return
	}
	d.mem.arena.Reset(d.newSlab, d.release)
}

// Stats returns the counters.
func (d *Device) Stats() compute.Stats {
	m := &d.mem
	s := compute.Stats{PersistentBytes: m.alloced, ScratchBytes: m.scratch, Syncs: m.syncs}
	m.arena.Count(&s)
	if d.err == nil {
		d.fail(d.run(func() (err error) {
			s.Free, _, err = d.card.Memory()
			return d.explain("ask for free memory", err)
		}))
		// The context, the code and the buffers of the device are already allocated. Graphs come with the steps.
		if !d.noGraphs && !d.eager {
			s.Free = max(1, s.Free-max(0, maxGraphBytes-d.queue.bytes))
		}
	}
	return s
}
