// Package nulldev is the device that computes nothing: it runs the same tape as
// a real one and only counts, so that the memory of a step is known to the byte
// before the first one.
package nulldev

import "github.com/lor2c/lor2c/internal/compute"

// Device counts the bytes of a device whose Working has floatBytes bytes, and
// whose Exact has at least four.
type Device struct {
	floatBytes int64
	persistent int64
	arena      compute.Arena
	// Ops lists the names of the ops since the last Reset.
	Ops []string
}

// Open returns a device that plans for Floats of the given size, which is what
// Bytes(compute.Working) of the device that will run says.
func Open(floatBytes int64) *Device { return &Device{floatBytes: floatBytes} }

// block is the Buffer of this device: where a Temp lies in the arena.
type block struct{ off int64 }

// Bytes implements compute.Memory.
func (d *Device) Bytes(t compute.DType) int64 {
	switch t {
	case compute.Int:
		return 4
	case compute.Exact:
		return max(4, d.floatBytes)
	}
	return d.floatBytes
}

func (d *Device) bytes(s compute.Shape, t compute.DType) int64 { return d.Bytes(t) * int64(s.Len()) }

// Name implements compute.Device.
func (d *Device) Name() string { return "null" }

// Alloc counts the bytes of a tensor that lives until Close.
func (d *Device) Alloc(s compute.Shape, t compute.DType) compute.Tensor {
	d.persistent += d.bytes(s, t)
	return compute.Tensor{Shape: s, DType: t, Buf: &block{-1}}
}

// Free takes the bytes of a persistent tensor off the count.
func (d *Device) Free(x compute.Tensor) { d.persistent -= d.bytes(x.Shape, x.DType) }

// Temp places a tensor in the arena.
func (d *Device) Temp(s compute.Shape, t compute.DType) compute.Tensor {
	return compute.Tensor{Shape: s, DType: t, Buf: &block{d.arena.Alloc(d.bytes(s, t))}}
}

// Release returns a Temp to the arena.
func (d *Device) Release(x compute.Tensor) {
	d.arena.Free(x.Buf.(*block).off, d.bytes(x.Shape, x.DType))
}

// Reset empties the arena and the list of ops.
func (d *Device) Reset() { d.arena.Reset(); d.Ops = d.Ops[:0] }

// Stats returns the bytes planned so far.
func (d *Device) Stats() compute.Stats {
	return compute.Stats{PersistentBytes: d.persistent, ArenaBytes: d.arena.Peak(), ArenaPeak: d.arena.Peak()}
}

func (d *Device) op(name string) { d.Ops = append(d.Ops, name) }
