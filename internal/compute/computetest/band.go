package computetest

import (
	"math"

	"github.com/lor2c/lor2c/internal/compute"
)

const (
	// guard is the number of elements before and after a tensor under test. They take a multiple of compute.Align
	// bytes, so that the tensor is aligned like any other.
	guard = compute.Align / 2
	// guardValue is the value of guard elements. It is large, so that sums that include one are noticed.
	guardValue = -54321
)

// band is a tensor of floats between guard elements.
type band struct {
	compute.Tensor
	name    string
	whole   compute.Tensor
	holds   []float32 // the uploaded values, including guards
	written bool      // a method writes the tensor, so that only the guards must not change
}

// kind makes tensors of one type.
type kind struct {
	*suite
	dtype compute.DType
}

// normal returns n values around 0 that are exact in the type.
func (s kind) normal(n int, std float64) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = s.round(float64(float32(s.rng.NormFloat64() * std)))
	}
	return x
}

// round returns x, a float32, as a tensor of the type stores it.
func (s kind) round(x float64) float64 {
	if s.dtype == compute.Working {
		return s.cfg.round(x)
	}
	return x
}

// band uploads data between guard elements.
func (s kind) band(name string, shape compute.Shape, data []float64) *band {
	n := shape.Len()
	b := &band{name: name, holds: make([]float32, n+2*guard)}
	for i := range b.holds {
		b.holds[i] = float32(s.round(guardValue))
	}
	for i := range n {
		b.holds[guard+i] = float32(data[i])
	}
	b.whole = s.dev.Temp(compute.Shape{n + 2*guard}, s.dtype)
	s.dev.Upload(b.whole, b.holds)
	b.Tensor = b.whole.Slice(guard, shape)
	s.bands = append(s.bands, b)
	return b
}

// input returns a tensor that must not change.
func (s kind) input(name string, data []float64, shape ...int) compute.Tensor {
	return s.band(name, shape, data).Tensor
}

// random returns an input of normal values, and the values.
func (s kind) random(name string, shape ...int) (compute.Tensor, []float64) {
	x := s.normal(compute.Shape(shape).Len(), 1)
	return s.input(name, x, shape...), x
}

// output returns a tensor full of NaN that a method overwrites.
func (s kind) output(name string, shape ...int) *band {
	nan := make([]float64, compute.Shape(shape).Len())
	for i := range nan {
		nan[i] = math.NaN()
	}
	return s.inout(name, nan, shape...)
}

// inout returns a tensor that a method changes.
func (s kind) inout(name string, data []float64, shape ...int) *band {
	b := s.band(name, shape, data)
	b.written = true
	return b
}

// adds returns an inout of normal values, for gradients that a method adds to, and the values.
func (s kind) adds(name string, shape ...int) (*band, []float64) {
	x := s.normal(compute.Shape(shape).Len(), 1)
	return s.inout(name, x, shape...), x
}

// ints returns an input of type Int.
func (s *suite) ints(data []int32) compute.Tensor {
	t := s.dev.Temp(compute.Shape{len(data)}, compute.Int)
	s.dev.UploadInts(t, data)
	return t
}

// below returns n random integers in [0, limit).
func (s *suite) below(n, limit int) []int32 {
	x := make([]int32, n)
	for i := range x {
		x[i] = int32(s.rng.IntN(limit))
	}
	return x
}

// read returns the elements of the tensor.
func (b *band) read(s *suite) []float64 {
	return read(s, b.Tensor)
}

// read downloads a tensor with all its bits. Download returns float32; read subtracts that on the device and
// downloads the difference too.
func read(s *suite, t compute.Tensor) []float64 {
	n := t.Shape.Len()
	part := make([]float32, n)
	s.dev.Download(part, t)
	x := make([]float64, n)
	for i, v := range part {
		x[i] = float64(v)
	}
	if !s.cfg.double() {
		return x
	}
	rest := s.dev.Temp(t.Shape, t.DType)
	minus := s.dev.Temp(t.Shape, t.DType)
	defer s.dev.Release(rest)
	defer s.dev.Release(minus)
	s.dev.Copy(rest, t)
	for range 2 {
		s.dev.Upload(minus, part)
		s.dev.Axpy(rest, -1, minus)
		s.dev.Download(part, rest)
		for i, v := range part {
			// An infinity minus itself is NaN, but an infinity was already exact.
			if !math.IsInf(x[i], 0) {
				x[i] += float64(v)
			}
		}
	}
	return x
}

// intact checks that the guards of all bands and the inputs have not changed.
func (s *suite) intact() {
	s.Helper()
	for _, b := range s.bands {
		got := make([]float32, len(b.holds))
		s.dev.Download(got, b.whole)
		for i, v := range got {
			inside := i >= guard && i < len(got)-guard
			if inside && b.written || v == b.holds[i] || math.IsNaN(float64(b.holds[i])) && math.IsNaN(float64(v)) {
				continue
			}
			if inside {
				s.Errorf("input %s[%d] changed from %v to %v", b.name, i-guard, b.holds[i], v)
			} else {
				s.Errorf("element %d of %s %v was overwritten with %v", i-guard, b.name, b.Shape, v)
			}
			break
		}
	}
}
