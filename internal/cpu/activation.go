package cpu

import (
	"math"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/vector"
)

// GELU and similar activations are x gate(x). Package vector has the gates and the derivatives of x gate(x) in float32.

// normalCDF is the gate of GELU.
func normalCDF(x float64) float64 { return 0.5 * math.Erfc(-x/math.Sqrt2) }

func geluSlope(x float64) float64 {
	return normalCDF(x) + x*math.Exp(-0.5*x*x)/math.Sqrt(2*math.Pi)
}

const (
	geluTanhA = 0.79788456080286535588 // sqrt(2/pi)
	geluTanhB = 0.044715
)

// tanhGate is the gate of GELUTanh.
func tanhGate(x float64) float64 {
	return 0.5 * (1 + math.Tanh(geluTanhA*x*(1+geluTanhB*x*x)))
}

func tanhGateSlope(x float64) float64 {
	// For large |x| the product below would be 0 times infinity.
	if !(math.Abs(x) < 100) {
		return unitStep(x)
	}
	g := tanhGate(x)
	return g + 2*geluTanhA*x*g*(1-g)*(1+3*geluTanhB*x*x)
}

// activate computes dst = act(x). dst may be x.
func activate[T Float](act compute.Act, dst, x []T) {
	switch act {
	case compute.Identity:
		copy(dst, x)
	case compute.GELU:
		gate(dst, x, x, vector.MulGELU, normalCDF)
	case compute.GELUTanh:
		gate(dst, x, x, vector.MulTanhGate, tanhGate)
	case compute.ReLU:
		for i, v := range x[:len(dst)] {
			dst[i] = max(v, 0)
		}
	case compute.Tanh:
		for i, v := range x[:len(dst)] {
			dst[i] = T(math.Tanh(float64(v)))
		}
	case compute.SiLU:
		for i, v := range x[:len(dst)] {
			dst[i] = v * T(sigmoid(float64(v)))
		}
	}
}

// activateGrad computes dx = dy act'(pre). dx may be dy.
func activateGrad[T Float](act compute.Act, dx, pre, dy []T) {
	pre, dy = pre[:len(dx)], dy[:len(dx)]
	switch act {
	case compute.Identity:
		copy(dx, dy)
	case compute.GELU:
		gate(dx, dy, pre, vector.MulGELUSlope, geluSlope)
	case compute.GELUTanh:
		gate(dx, dy, pre, vector.MulTanhGateSlope, tanhGateSlope)
	case compute.ReLU:
		for i, v := range pre {
			g := dy[i]
			if v <= 0 {
				g = 0
			}
			dx[i] = g
		}
	case compute.Tanh:
		for i, v := range pre {
			t := T(math.Tanh(float64(v)))
			dx[i] = dy[i] * (1 - t*t)
		}
	case compute.SiLU:
		for i, v := range pre {
			dx[i] = dy[i] * T(siluSlope(float64(v)))
		}
	}
}

// gate computes dst = y f(x), in float32 by f32.
func gate[T Float](dst, y, x []T, f32 func(dst, y, x []float32), f func(x float64) float64) {
	if single[T]() {
		f32(as32(dst), as32(y), as32(x))
		return
	}
	for i := range dst {
		dst[i] = y[i] * T(f(float64(x[i])))
	}
}

// unitStep returns 0 for x below 0, 1 for x above 0, and NaN for NaN.
func unitStep(x float64) float64 {
	if x < 0 {
		return 0
	}
	if x > 0 {
		return 1
	}
	return x
}
