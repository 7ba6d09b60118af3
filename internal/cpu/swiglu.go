package cpu

import (
	"math"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/vector"
)

// sigmoid computes 1/(1 + exp(-x)).
func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// siluSlope is the derivative of x sigmoid(x).
func siluSlope(x float64) float64 {
	s := sigmoid(x)
	return s * (1 + x*(1-s))
}

// SwiGLU computes dst = silu(gate) up.
func (d *Device[T]) SwiGLU(dst, gate, up compute.Tensor) {
	if d.err != nil {
		return
	}
	out, g, u := Data[T](dst), Data[T](gate), Data[T](up)
	d.each(len(out), chunkElems, func(_, lo, hi int) {
		if single[T]() {
			vector.SwiGLU(as32(out[lo:hi]), as32(g[lo:hi]), as32(u[lo:hi]))
			return
		}
		for i := lo; i < hi; i++ {
			x := float64(g[i])
			out[i] = T(x*sigmoid(x)) * u[i]
		}
	})
}

// SwiGLUGrad computes the gradient of SwiGLU: with s = sigmoid(gate),
//
//	dgate = dy up s (1 + gate (1 - s)),  dup = dy gate s
func (d *Device[T]) SwiGLUGrad(dgate, dup, gate, up, dy compute.Tensor) {
	if d.err != nil {
		return
	}
	gg, gu := Data[T](dgate), Data[T](dup)
	g, u, in := Data[T](gate), Data[T](up), Data[T](dy)
	d.each(len(in), chunkElems, func(w, lo, hi int) {
		if single[T]() {
			// A gradient that the caller left out goes to scratch memory.
			part := func(x []T) []float32 {
				if x == nil {
					return as32(sized(&d.scratch[w].a, hi-lo))
				}
				return as32(x[lo:hi])
			}
			vector.SwiGLUGrad(part(gg), part(gu), as32(g[lo:hi]), as32(u[lo:hi]), as32(in[lo:hi]))
			return
		}
		for i := lo; i < hi; i++ {
			x, grad := float64(g[i]), in[i]
			if gg != nil {
				gg[i] = grad * u[i] * T(siluSlope(x))
			}
			if gu != nil {
				gu[i] = grad * T(x*sigmoid(x))
			}
		}
	})
}
