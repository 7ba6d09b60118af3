//go:build cuda && cgo && linux && amd64

package gpu

import (
	"fmt"
	"math"
	"unsafe"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/gpu/driver"
)

// This file has what an op needs to queue a kernel: launch, the size of its grid, and what its arguments are made from,
// which are addresses of tensors, flags, and slots for numbers that may differ in the next replay of the list.

// grid has the numbers of blocks of a launch.
type grid struct{ x, y, z int }

// ceil returns a over b, rounded up.
func ceil(a, b int) int { return (a + b - 1) / b }

// class returns n rounded up to its size class, by the rule of the arena. Grids and numbers of partial sums are
// computed from it, so that batches of nearly equal size have equal lists.
func class(n int) int { return int(compute.Class(int64(n)*compute.Align) / compute.Align) }

// launch queues the kernel of the given name. args has the fields of the kernel's argument struct in the same order,
// without padding.
func launch[A any](d *Device, name string, g grid, block, shared int, args A) {
	if d.err != nil {
		return
	}
	g.y, g.z = max(g.y, 1), max(g.z, 1)
	if g.x <= 0 {
		return
	}
	q := &d.queue
	at := len(q.args)
	q.args = append(q.args, unsafe.Slice((*byte)(unsafe.Pointer(&args)), unsafe.Sizeof(args))...)
	q.launches = append(q.launches, driver.Record{
		Grid: [3]uint32{uint32(g.x), uint32(g.y), uint32(g.z)}, Block: [3]uint32{uint32(block), 1, 1},
		Shared: uint32(shared), Offset: uint32(at), Size: uint32(len(q.args) - at),
	})
	q.names = append(q.names, name)
	q.serial++
	switch {
	case len(q.slots) > maxSlots/2:
		// The next slots begin at 0 again. They do not reach those of the current op, to which its next launch may
		// still point.
		d.submit()
	case d.eager:
		d.flush()
	}
}

// ptr is an address on the card. 0 stands for an absent tensor.
type ptr uint64

// Bytes returns the size of an element of type t.
func (d *Device) Bytes(t compute.DType) int64 {
	if d.narrow && t != compute.Int && t != compute.Exact {
		return 2
	}
	return 4
}

// at returns the address of t's first element, or 0 if t is absent.
func (d *Device) at(t compute.Tensor) ptr {
	b, _ := t.Buf.(*buffer)
	if b == nil {
		return 0 // t is absent, or comes from a device that has failed
	}
	return b.base + ptr(int64(t.Off)*d.Bytes(t.DType))
}

// aligned16 returns 1 if rows of the given number of columns that begin at these addresses can be read 16 bytes at a
// time, and 0 otherwise.
func aligned16(columns int, at ...ptr) uint32 {
	for _, p := range at {
		if p%16 != 0 {
			return 0
		}
	}
	return boolArg(columns%8 == 0)
}

// boolArg returns b as a kernel's argument.
func boolArg(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

// slot returns the address of consecutive slots with the given contents.
func (d *Device) slot(words ...uint32) ptr {
	q := &d.queue
	at := len(q.slots)
	q.slots = append(q.slots, words...)
	return ptr(q.table) + ptr(4*at)
}

// maxCount is so small that the last index of a grid is an int32 even after
// rounding up to a class.
const maxCount = 2_000_000_000

// size returns a number of elements as an argument of a kernel. The device fails if it is above maxCount.
func (d *Device) size(n int) int32 {
	if n > maxCount {
		d.fail(fmt.Errorf("gpu: %d elements in one op; the kernels can count up to %d", n, maxCount))
	}
	return int32(n)
}

// count returns the address of a slot with a size that may differ in the next replay.
func (d *Device) count(n int) ptr { return d.slot(uint32(d.size(n))) }

// counts returns the address of consecutive slots with int32 values.
func (d *Device) counts(n ...int) ptr {
	words := make([]uint32, len(n))
	for i, v := range n {
		words[i] = uint32(int32(v))
	}
	return d.slot(words...)
}

// scalar returns the address of a slot with a float32 that may differ in the next replay.
func (d *Device) scalar(v float32) ptr { return d.slot(math.Float32bits(v)) }

// address returns the address of slots with an address that may differ in the next replay.
func (d *Device) address(p ptr) ptr {
	if len(d.queue.slots)%2 == 1 {
		d.slot(0)
	}
	return d.slot(uint32(p), uint32(p>>32))
}

// dropoutArgs has the fields of struct Dropout.
type dropoutArgs struct {
	at         ptr // address of the slots with the step and the first row
	threshold  uint32
	scale      float32
	key0, key1 uint32
	site       uint32
	_          uint32
}

func (d *Device) dropout(p compute.Dropout) dropoutArgs {
	return dropoutArgs{
		at: d.slot(p.Step, p.Row), threshold: p.Threshold(), scale: float32(p.Scale()),
		key0: uint32(p.Key), key1: uint32(p.Key >> 32), site: p.Site,
	}
}
