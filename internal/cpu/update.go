package cpu

import (
	"math"

	"github.com/lor2c/lor2c/internal/compute"
)

// GradNorm writes the state that AdamW reads.
func (d *Device[T]) GradNorm(state, g, loss compute.Tensor, maxNorm float32) {
	if d.err != nil {
		return
	}
	grad, s := Data[T](g), Data[T](state)
	sums := sized(&d.sums, (len(grad)+chunkElems-1)/chunkElems)
	d.each(len(grad), chunkElems, func(_, lo, hi int) {
		sums[lo/chunkElems] = sumSquares(grad[lo:hi])
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
	sums := sized(&d.sums, (len(in)+chunkElems-1)/chunkElems)
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

// sumSquares adds in float64, because float32 would overflow at gradients of 1e19.
func sumSquares[T Float](x []T) float64 {
	var s0, s1, s2, s3 float64
	for len(x) >= 4 {
		a, b, c, e := float64(x[0]), float64(x[1]), float64(x[2]), float64(x[3])
		s0 += a * a
		s1 += b * b
		s2 += c * c
		s3 += e * e
		x = x[4:]
	}
	for _, v := range x {
		s0 += float64(v) * float64(v)
	}
	return (s0 + s1) + (s2 + s3)
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
	factor := s[compute.StateFactor]
	keep := T(1 - o.LR*o.WeightDecay)
	b1, b2, c1, c2 := T(o.Beta1), T(o.Beta2), T(1-o.Beta1), T(1-o.Beta2)
	rate := T(o.LR / (1 - math.Pow(o.Beta1, float64(o.Step))))
	root := T(1 / math.Sqrt(1-math.Pow(o.Beta2, float64(o.Step))))
	eps := T(o.Eps)
	d.each(len(param), chunkElems, func(_, lo, hi int) {
		ps, ms, vs, gs := param[lo:hi], mean[lo:hi], square[lo:hi], grad[lo:hi]
		ms, vs, gs = ms[:len(ps)], vs[:len(ps)], gs[:len(ps)]
		for i := range ps {
			gi := gs[i] * factor
			mi := b1*ms[i] + c1*gi
			vi := b2*vs[i] + c2*gi*gi
			ms[i], vs[i] = mi, vi
			ps[i] = ps[i]*keep - rate*mi/(T(math.Sqrt(float64(vi)))*root+eps)
		}
		if working != nil {
			copy(working[lo:hi], ps)
		}
	})
}
