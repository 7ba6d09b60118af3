package cpu

import (
	"math"

	"lor2c/internal/compute"
)

// activate computes dst = act(x). dst may be x.
func activate[T Float](act compute.Act, dst, x []T) {
	x = x[:len(dst)]
	switch act {
	case compute.Identity:
		copy(dst, x)
	case compute.GELU:
		for i, v := range x {
			dst[i] = T(float64(v) * 0.5 * math.Erfc(-float64(v)*math.Sqrt2/2))
		}
	case compute.GELUTanh:
		for i, v := range x {
			w := float64(v)
			dst[i] = T(0.5 * w * (1 + math.Tanh(geluTanhA*(w+geluTanhB*w*w*w))))
		}
	case compute.ReLU:
		for i, v := range x {
			dst[i] = max(v, 0)
		}
	case compute.Tanh:
		for i, v := range x {
			dst[i] = T(math.Tanh(float64(v)))
		}
	}
}

const (
	geluTanhA = 0.79788456080286535588 // sqrt(2/pi)
	geluTanhB = 0.044715
)

// activateGrad computes dx = dy act'(pre). dx may be dy.
func activateGrad[T Float](act compute.Act, dx, pre, dy []T) {
	pre, dy = pre[:len(dx)], dy[:len(dx)]
	switch act {
	case compute.Identity:
		copy(dx, dy)
	case compute.GELU:
		for i, v := range pre {
			w := float64(v)
			pdf := math.Exp(-0.5*w*w) * 0.39894228040143267794
			dx[i] = dy[i] * T(0.5*math.Erfc(-w*math.Sqrt2/2)+w*pdf)
		}
	case compute.GELUTanh:
		for i, v := range pre {
			w := float64(v)
			t := math.Tanh(geluTanhA * (w + geluTanhB*w*w*w))
			slope := geluTanhA * (1 + 3*geluTanhB*w*w)
			dx[i] = dy[i] * T(0.5*(1+t)+0.5*w*(1-t*t)*slope)
		}
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
	}
}
