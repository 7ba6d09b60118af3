// Package nulldev is a device that computes nothing. It runs the same tape as a real device and only counts bytes, so
// that the memory of a step is known exactly before the first step.
package nulldev

import "github.com/lor2c/lor2c/internal/compute"

// Device counts the bytes of a device whose Working elements have workingBytes bytes and whose Exact elements have at
// least four.
type Device struct {
	workingBytes int64
	halfBytes    int64 // an element of frozen weights that may be stored in two bytes
	readsNF4     bool
	persistent   int64
	arena        compute.Arena
	// Ops has the names of the ops since the last Reset.
	Ops []string
}

// Open returns a device that plans for Working elements of the given size, which is Bytes(compute.Working) of the
// device that will run. It stores frozen weights in two bytes where it may.
func Open(workingBytes int64) *Device { return &Device{workingBytes: workingBytes, halfBytes: 2} }

// Like returns a device that plans for another one.
func Like(d compute.Memory) *Device {
	return &Device{workingBytes: d.Bytes(compute.Working), halfBytes: d.Bytes(compute.BFloat16), readsNF4: d.ReadsNF4()}
}

// ReadsNF4 returns what the device that will run returns.
func (d *Device) ReadsNF4() bool { return d.readsNF4 }

// block is the Buffer of this device: the offset of a Temp in the arena.
type block struct {
	off   int64
	bytes int64 // of a persistent tensor
}

// Bytes implements compute.Memory.
func (d *Device) Bytes(t compute.DType) int64 {
	switch t {
	case compute.Int:
		return 4
	case compute.Exact:
		return max(4, d.workingBytes)
	case compute.BFloat16, compute.Float16:
		return d.halfBytes
	}
	return d.workingBytes
}

func (d *Device) bytes(s compute.Shape, t compute.DType) int64 { return compute.SizeOf(d, s, t) }

// Name implements compute.Device.
func (d *Device) Name() string { return "null" }

// Alloc counts the bytes of a tensor that lives until Close.
func (d *Device) Alloc(s compute.Shape, t compute.DType) compute.Tensor {
	return d.persist(s, t, d.bytes(s, t))
}

// AllocFrozen counts the bytes of frozen weights.
func (d *Device) AllocFrozen(s compute.Shape, t compute.DType) compute.Tensor {
	return d.persist(s, compute.Working, d.bytes(s, t))
}

func (d *Device) persist(s compute.Shape, t compute.DType, bytes int64) compute.Tensor {
	d.persistent += bytes
	return compute.Tensor{Shape: s, DType: t, Buf: &block{-1, bytes}}
}

// Free subtracts the bytes of a persistent tensor from the count.
func (d *Device) Free(x compute.Tensor) { d.persistent -= x.Buf.(*block).bytes }

// Temp allocates a tensor in the arena.
func (d *Device) Temp(s compute.Shape, t compute.DType) compute.Tensor {
	return compute.Tensor{Shape: s, DType: t, Buf: &block{off: d.arena.Alloc(d.bytes(s, t))}}
}

// Release frees a tensor of Temp.
func (d *Device) Release(x compute.Tensor) {
	d.arena.Free(x.Buf.(*block).off, d.bytes(x.Shape, x.DType))
}

// Reset empties the arena and the list of ops.
func (d *Device) Reset() { d.arena.Reset(); d.Ops = d.Ops[:0] }

// Arena returns the bytes that the arena of the device that will run needs for the steps so far and for those of
// smaller batches. The arena reuses blocks of one size class, and which tensors share a class depends on the batch. A
// smaller batch can therefore need slightly more memory than a larger one: up to one part in a thousand was observed.
// The margin covers it.
func (d *Device) Arena() int64 {
	peak := d.arena.Peak()
	return peak + peak/256 + 1<<16
}

// Stats returns the bytes planned so far.
func (d *Device) Stats() compute.Stats {
	return compute.Stats{PersistentBytes: d.persistent, ArenaBytes: d.arena.Peak(), ArenaPeak: d.arena.Peak()}
}

func (d *Device) op(name string) { d.Ops = append(d.Ops, name) }
