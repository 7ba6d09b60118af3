package computetest

import (
	"math"

	"github.com/lor2c/lor2c/internal/compute"
)

const (
	// guard is the elements before and after a tensor under test: a whole
	// number of compute.Align bytes, so that the tensor is aligned as any.
	guard = compute.Align / 2
	// guardValue is what they hold: easy to see in sums.
	guardValue = -54321
)

// band is a tensor of floats between guards.
type band struct {
	compute.Tensor
	name    string
	whole   compute.Tensor
	holds   []float32 // what was uploaded, guards included
	written bool      // by a method, so that only the guards must stay
}

// kind makes tensors of one type.
type kind struct {
	*suite
	dtype compute.DType
}

// normal returns n values around 0 that the type holds exactly.
func (s kind) normal(n int, std float64) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = s.round(float64(float32(s.rng.NormFloat64() * std)))
	}
	return x
}

// round returns what becomes of x, a float32, in a tensor of the type.
func (s kind) round(x float64) float64 {
	if s.dtype == compute.Working {
		return s.cfg.round(x)
	}
	return x
}

// band puts data between guards.
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

// input is a tensor that must not change.
func (s kind) input(name string, data []float64, shape ...int) compute.Tensor {
	return s.band(name, shape, data).Tensor
}

// random is an input of normal values; it returns them too.
func (s kind) random(name string, shape ...int) (compute.Tensor, []float64) {
	x := s.normal(compute.Shape(shape).Len(), 1)
	return s.input(name, x, shape...), x
}

// output is a tensor that a method overwrites: full of NaN.
func (s kind) output(name string, shape ...int) *band {
	nan := make([]float64, compute.Shape(shape).Len())
	for i := range nan {
		nan[i] = math.NaN()
	}
	return s.inout(name, nan, shape...)
}

// inout is a tensor that a method changes.
func (s kind) inout(name string, data []float64, shape ...int) *band {
	b := s.band(name, shape, data)
	b.written = true
	return b
}

// adds is an inout of normal values, for gradients that are added to.
func (s kind) adds(name string, shape ...int) (*band, []float64) {
	x := s.normal(compute.Shape(shape).Len(), 1)
	return s.inout(name, x, shape...), x
}

// ints is an Int input.
func (s *suite) ints(data []int32) compute.Tensor {
	t := s.dev.Temp(compute.Shape{len(data)}, compute.Int)
	s.dev.UploadInts(t, data)
	return t
}

// below returns n numbers of [0, limit).
func (s *suite) below(n, limit int) []int32 {
	x := make([]int32, n)
	for i := range x {
		x[i] = int32(s.rng.IntN(limit))
	}
	return x
}

// read returns the tensor's elements.
func (b *band) read(s *suite) []float64 {
	return read(s, b.Tensor)
}

// read downloads a tensor to the device's last bit: what the float32 of
// Download leaves out is taken from the device again.
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
			// An infinity less itself is NaN, but was exact already.
			if !math.IsInf(x[i], 0) {
				x[i] += float64(v)
			}
		}
	}
	return x
}

// intact checks the guards of every band, and the inputs.
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
