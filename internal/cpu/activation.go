package cpu

import (
	"math"

	"github.com/lor2c/lor2c/internal/compute"
)

// GELU and similar activations are x gate(x). Both gate and the derivative of x gate(x) go from 0 to 1, so the same
// kind of table serves all of them.

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

// Tables for float32.
var (
	cdfTable       = newCubics(normalCDF)
	slopeTable     = newCubics(geluSlope)
	tanhTable      = newCubics(tanhGate)
	tanhSlopeTable = newCubics(tanhGateSlope)
)

// activate computes dst = act(x). dst may be x.
func activate[T Float](act compute.Act, dst, x []T) {
	switch act {
	case compute.Identity:
		copy(dst, x)
	case compute.GELU:
		gate(dst, x, x, cdfTable, normalCDF)
	case compute.GELUTanh:
		gate(dst, x, x, tanhTable, tanhGate)
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
		gate(dx, dy, pre, slopeTable, geluSlope)
	case compute.GELUTanh:
		gate(dx, dy, pre, tanhSlopeTable, tanhGateSlope)
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

// gate computes dst = y f(x), by the table in float32.
func gate[T Float](dst, y, x []T, table *cubics, f func(x float64) float64) {
	if single[T]() {
		table.multiply(as32(dst), as32(y), as32(x))
		return
	}
	for i := range dst {
		dst[i] = y[i] * T(f(float64(x[i])))
	}
}
