package cpu

import (
	"math"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/vector"
)

// GradNorm writes the state that AdamW reads.
func (d *Device[T]) GradNorm(state, g, loss compute.Tensor, maxNorm float32) {
	if d.err != nil {
		return
	}
	grad, s := Data[T](g), Data[T](state)
	sums := sized(&d.sums, ceil(len(grad), chunkElems))
	d.each(len(grad), chunkElems, func(_, lo, hi int) {
		sums[lo/chunkElems] = vector.Squares(grad[lo:hi])
	})
	total := 0.0
	for _, v := range sums {
		total += v
	}
	norm := T(math.Sqrt(total))
	s[compute.StateNorm] = norm
	s[compute.StateFactor] = 1
	if maxNorm > 0 && norm > T(maxNorm) {
		s[compute.StateFactor] = T(maxNorm) / norm
	}
	if !finite(norm) || !finite(Data[T](loss)[0]) {
		s[compute.StateHalted] = 1
	}
}

// SumAbs computes dst[0] += sum over i of |x[i]|.
func (d *Device[T]) SumAbs(dst, x compute.Tensor) {
	if d.err != nil {
		return
	}
	in := Data[T](x)
	sums := sized(&d.sums, ceil(len(in), chunkElems))
	d.each(len(in), chunkElems, func(_, lo, hi int) {
		total := 0.0
		for _, v := range in[lo:hi] {
			total += math.Abs(float64(v))
		}
		sums[lo/chunkElems] = total
	})
	total := 0.0
	for _, v := range sums {
		total += v
	}
	Data[T](dst)[0] += T(total)
}

// finite reports whether x is neither infinite nor NaN. Only then x-x is 0.
func finite[T Float](x T) bool { return x-x == 0 }

// AdamW updates p, m and v in place, and copies p to w. As in PyTorch, eps is added after the
// bias correction of sqrt(v), and weight decay comes before the Adam step.
func (d *Device[T]) AdamW(p, w, m, v, g, state compute.Tensor, o compute.AdamWOpts) {
	if d.err != nil {
		return
	}
	s := Data[T](state)
	if s[compute.StateHalted] != 0 {
		return
	}
	param, working := Data[T](p), Data[T](w)
	mean, square, grad := Data[T](m), Data[T](v), Data[T](g)
	update := vector.AdamW[T]{
		Factor: s[compute.StateFactor], Keep: T(1 - o.LR*o.WeightDecay),
		B1: T(o.Beta1), C1: T(1 - o.Beta1), B2: T(o.Beta2), C2: T(1 - o.Beta2),
		Rate:    T(o.LR / (1 - math.Pow(o.Beta1, float64(o.Step)))),
		Root:    T(1 / math.Sqrt(1-math.Pow(o.Beta2, float64(o.Step)))),
		Epsilon: T(o.Eps),
	}
	d.each(len(param), chunkElems, func(_, lo, hi int) {
		update.Update(param[lo:hi], mean[lo:hi], square[lo:hi], grad[lo:hi])
		if working != nil {
			copy(working[lo:hi], param[lo:hi])
		}
	})
}
