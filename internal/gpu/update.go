//go:build cuda && cgo && linux && amd64

package gpu

import (
	"math"

	"github.com/lor2c/lor2c/internal/compute"
)

// sumBlock is the number of elements that a block of a sum adds.
const sumBlock = 4096

type sumArgs struct {
	partial, x, n ptr
	aligned, _    uint32
}

type sumAbsTotalArgs struct {
	dst, partial ptr
	parts        int32
	_            uint32
}

type gradNormArgs struct {
	state, partial, loss ptr
	parts                int32
	maxNorm              float32
}

type adamWArgs struct {
	p, w, m, v, g, state            ptr
	keep, rate, root                ptr
	n                               int32
	beta1, beta2, rest1, rest2, eps float32
	aligned, _                      uint32
}

// sums queues a kernel that writes a float64 sum for every sumBlock elements of x to scratch memory.
func (d *Device) sums(kernel string, x compute.Tensor) (partial ptr, parts int) {
	n := x.Shape.Len()
	parts = ceil(n, sumBlock)
	partial = d.scratch(int64(8 * parts))
	launch(
		d, kernel, grid{x: parts}, 256, 0,
		sumArgs{partial: partial, x: d.at(x), n: d.count(n), aligned: aligned16(0, d.at(x))},
	)
	return partial, parts
}

// SumAbs computes dst[0] += sum over i of |x[i]|.
func (d *Device) SumAbs(dst, x compute.Tensor) {
	partial, parts := d.sums("sum_abs_f32", x)
	launch(
		d, "sum_abs_total_f32", grid{x: 1}, 256, 0, sumAbsTotalArgs{dst: d.at(dst), partial: partial, parts: int32(parts)},
	)
}

// GradNorm writes the state that AdamW reads.
func (d *Device) GradNorm(state, g, loss compute.Tensor, maxNorm float32) {
	partial, parts := d.sums("sum_squares_f32", g)
	launch(d, "grad_norm_f32", grid{x: 1}, 256, 0, gradNormArgs{
		state: d.at(state), partial: partial, loss: d.at(loss), parts: int32(parts), maxNorm: maxNorm,
	})
}

// AdamW updates p, m and v in place, and rounds p to w.
func (d *Device) AdamW(p, w, m, v, g, state compute.Tensor, o compute.AdamWOpts) {
	n := p.Shape.Len()
	at := [...]ptr{d.at(p), d.at(w), d.at(m), d.at(v), d.at(g)}
	launch(d, d.named("adamw"), grid{x: ceil(n, 2048)}, 256, 0, adamWArgs{
		p: at[0], w: at[1], m: at[2], v: at[3], g: at[4], state: d.at(state),
		keep:  d.scalar(float32(1 - o.LR*o.WeightDecay)),
		rate:  d.scalar(float32(o.LR / (1 - math.Pow(o.Beta1, float64(o.Step))))),
		root:  d.scalar(float32(1 / math.Sqrt(1-math.Pow(o.Beta2, float64(o.Step))))),
		n:     d.size(n),
		beta1: float32(o.Beta1), beta2: float32(o.Beta2), rest1: float32(1 - o.Beta1), rest2: float32(1 - o.Beta2),
		eps:     float32(o.Eps),
		aligned: aligned16(0, at[:]...),
	})
}
