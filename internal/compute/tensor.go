package compute

import "fmt"

// DType is an element type.
type DType uint8

const (
	// Working is the precision of a device: float32, or bfloat16 on a device that was opened for it, or float64 on
	// the one that gradient checks use.
	Working DType = iota
	// Int is int32: token ids, labels, cu_seqlens.
	Int
	// Exact is float32 on a device whose Working is narrower, and the same as Working on all others.
	Exact
	// NF4 is four bits per element and a scale for every 64; see package nf4. Frozen weights may have it. They are
	// made by Alloc and filled by UploadNF4. Copy to a Working tensor reads them and, if the device says so, products do.
	NF4
	// BFloat16 is how frozen weights may be stored, see AllocFrozen. No tensor has it as its type.
	BFloat16
	// Float16 is another way, of IEEE 754.
	Float16
)

// NF4Bytes returns the bytes that a device needs for an NF4 tensor of n elements: their codes in words of 4 bytes, and
// the scales in float32.
func NF4Bytes(n int64) int64 { return (n+7)/8*4 + (n+63)/64*4 }

// SizeOf returns the bytes of a tensor of the given shape and type on d.
func SizeOf(d Memory, s Shape, t DType) int64 {
	if t == NF4 {
		return NF4Bytes(int64(s.Len()))
	}
	return int64(s.Len()) * d.Bytes(t)
}

// String returns the name of the constant.
func (d DType) String() string {
	switch d {
	case Working:
		return "Working"
	case Int:
		return "Int"
	case Exact:
		return "Exact"
	case NF4:
		return "NF4"
	case BFloat16:
		return "BFloat16"
	case Float16:
		return "Float16"
	}
	return fmt.Sprintf("DType(%d)", uint8(d))
}

// Narrow reports whether Working is narrower than Exact on d, so that a trained parameter needs a working copy
// besides its exact value.
func Narrow(d Memory) bool { return d.Bytes(Working) < d.Bytes(Exact) }

// Shape is a list of axis lengths, outermost first.
type Shape []int

// Len returns the number of elements; 1 for a scalar's empty shape.
func (s Shape) Len() int {
	n := 1
	for _, d := range s {
		n *= d
	}
	return n
}

// Rows returns the product of all axes but the last.
func (s Shape) Rows() int { return s[:len(s)-1].Len() }

// Cols returns the length of the last axis.
func (s Shape) Cols() int { return s[len(s)-1] }

// String prints the axis lengths as [N C].
func (s Shape) String() string { return fmt.Sprint([]int(s)) }

// Buffer is the storage of a tensor. Only its device knows the concrete type.
type Buffer any

// Tensor is a shaped view of a buffer. Copying the struct copies the view.
type Tensor struct {
	Shape Shape
	DType DType
	Buf   Buffer
	Off   int // first element within Buf
}

// Present reports whether t is not the zero Tensor.
func (t Tensor) Present() bool { return t.Buf != nil }

// View returns rows [i, j) of t's first axis. It shares t's storage.
func (t Tensor) View(i, j int) Tensor {
	v := t
	v.Off += i * t.Shape[1:].Len()
	v.Shape = append(Shape{j - i}, t.Shape[1:]...)
	return v
}

// Slice returns the elements of t from element `at` on, in shape s. It shares t's storage.
func (t Tensor) Slice(at int, s Shape) Tensor {
	v := t
	v.Off += at
	v.Shape = s
	return v
}
