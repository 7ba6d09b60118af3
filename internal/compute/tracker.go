package compute

import "slices"

// Tracker is a device that remembers the tensors that were allocated through it and not freed, so that they can be
// freed together.
type Tracker struct {
	Device
	tensors []Tensor
}

// Alloc allocates a tensor on the device.
func (t *Tracker) Alloc(s Shape, d DType) Tensor { return t.keep(t.Device.Alloc(s, d)) }

// AllocFrozen allocates a matrix of frozen weights on the device.
func (t *Tracker) AllocFrozen(s Shape, d DType) Tensor { return t.keep(t.Device.AllocFrozen(s, d)) }

func (t *Tracker) keep(x Tensor) Tensor {
	t.tensors = append(t.tensors, x)
	return x
}

// Free frees a tensor on the device.
func (t *Tracker) Free(x Tensor) {
	t.tensors = slices.DeleteFunc(t.tensors, func(y Tensor) bool { return y.Buf == x.Buf })
	t.Device.Free(x)
}

// FreeAll frees all tensors, which must not be used afterwards.
func (t *Tracker) FreeAll() {
	for _, x := range t.tensors {
		t.Device.Free(x)
	}
	t.tensors = nil
}
