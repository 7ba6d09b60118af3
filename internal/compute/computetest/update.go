package computetest

import (
	"fmt"
	"math"
	"slices"

	"github.com/lor2c/lor2c/internal/compute"
)

// adamW computes one update, weight decay first (Loshchilov and Hutter 2019, algorithm 2, in the order of
// torch.optim.AdamW).
func adamW[F float](p, m, v, g []float64, factor float64, o compute.AdamWOpts) (np, nm, nv []float64) {
	x, m1, m2 := in[F](p), in[F](m), in[F](v)
	for i := range x {
		d := F(g[i]) * F(factor)
		x[i] -= F(o.LR) * F(o.WeightDecay) * x[i]
		m1[i] = F(o.Beta1)*m1[i] + F(1-o.Beta1)*d
		m2[i] = F(o.Beta2)*m2[i] + F(1-o.Beta2)*d*d
		mean := m1[i] / F(1-math.Pow(o.Beta1, float64(o.Step)))
		square := m2[i] / F(1-math.Pow(o.Beta2, float64(o.Step)))
		x[i] -= F(o.LR) * mean / (F(math.Sqrt(float64(square))) + F(o.Eps))
	}
	return out(x), out(m1), out(m2)
}

// gradNorm computes the state of a step whose gradient is finite. It sums in blocks.
func gradNorm[F float](g []float64, clip float32, block int) []float64 {
	var sum F
	for len(g) > 0 {
		n := min(len(g), block)
		var part F
		for _, v := range g[:n] {
			part += F(v) * F(v)
		}
		sum += part
		g = g[n:]
	}
	norm, factor := F(math.Sqrt(float64(sum))), F(1)
	if clip > 0 {
		factor = min(1, F(clip)/norm)
	}
	return []float64{float64(norm), float64(factor), 0}
}

// sumAbs adds the sum of |x| to dst [1]. It sums in blocks.
func sumAbs[F float](dst, x []float64, block int) []float64 {
	sum := F(dst[0])
	for part := range slices.Chunk(x, block) {
		var s F
		for _, v := range part {
			s += F(math.Abs(v))
		}
		sum += s
	}
	return []float64{float64(sum)}
}

func updateCases() []testCase {
	var all []testCase
	for _, n := range []int{1, 3, 17, 257, 1025, 40001} {
		for _, clip := range []float32{0, 0.5, 1e6} {
			all = append(all, testCase{
				name: fmt.Sprintf("op=GradNorm/n=%d/clip=%g", n, clip),
				run:  func(s *suite) { checkGradNorm(s, n, clip) },
			})
		}
		for _, working := range []bool{false, true} {
			all = append(all, testCase{name: fmt.Sprintf(
				"op=AdamW/n=%d/w=%t", n, working,
			), run: func(s *suite) { checkAdamW(s, n, working) }})
		}
		all = append(all, testCase{name: fmt.Sprintf("op=SumAbs/n=%d", n), run: func(s *suite) {
			x, data := s.exact.random("x", n)
			dst, start := s.exact.adds("dst", 1)
			s.dev.SumAbs(dst.Tensor, x)
			s.near(dst, sumAbs[float64](start, data, 256), sumAbs[float32](start, data, n), 1)
		}})
	}
	inf, nan := math.Inf(1), math.NaN()
	for _, c := range []struct {
		name       string
		grad, loss float64
	}{{"grad=inf", inf, 1}, {"grad=nan", nan, 1}, {"loss=nan", 1, nan}, {"loss=inf", 1, inf}, {"loss=-inf", 1, -inf}} {
		all = append(all, testCase{name: "op=GradNorm/" + c.name, run: func(s *suite) { checkHalt(s, c.grad, c.loss) }})
	}
	return all
}

func checkGradNorm(s *suite, n int, clip float32) {
	g, data := s.exact.random("g", n)
	state := s.exact.inout("state", []float64{0, 0, 0}, compute.StateLen)
	s.dev.GradNorm(state.Tensor, g, s.exact.input("loss", []float64{1}, 1), clip)
	row := &band{name: state.name, Tensor: state.Slice(0, compute.Shape{1, compute.StateLen})}
	// A device may add everything in one sum, but for the reference that would be too inexact.
	s.nearColumns(row, gradNorm[float64](data, clip, 256), gradNorm[float32](data, clip, n))
}

// checkHalt checks that a loss or norm that is not finite halts all further updates, and that the parameters keep
// their values.
func checkHalt(s *suite, grad, loss float64) {
	const n = 33
	data := s.exact.normal(n, 1)
	data[n-1] = grad
	state := s.exact.inout("state", []float64{0, 0, 0}, compute.StateLen)
	s.dev.GradNorm(state.Tensor, s.exact.input("g", data, n), s.exact.input("loss", []float64{loss}, 1), 1)
	if v := state.read(s); v[compute.StateHalted] == 0 {
		s.Errorf("state = %v, not halted", v)
	}
	fine, _ := s.exact.random("fine", n)
	s.dev.GradNorm(state.Tensor, fine, s.exact.input("loss", []float64{1}, 1), 1)
	if v := state.read(s); v[compute.StateHalted] == 0 {
		s.Errorf("state = %v after a good step, not halted any more", v)
	}
	p, p0 := s.exact.adds("p", n)
	m, m0 := s.exact.adds("m", n)
	v, v0 := s.exact.adds("v", n)
	w, w0 := s.working.adds("w", n)
	s.dev.AdamW(p.Tensor, w.Tensor, m.Tensor, v.Tensor, fine, state.Tensor, compute.AdamWOpts{LR: 1, Step: 1})
	s.same(p, p0)
	s.same(w, w0)
	s.same(m, m0)
	s.same(v, v0)
}

func checkAdamW(s *suite, n int, working bool) {
	o := compute.AdamWOpts{LR: 1e-2, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.1}
	p, wantP := s.exact.adds("p", n)
	zero := make([]float64, n)
	m, v := s.exact.inout("m", zero, n), s.exact.inout("v", zero, n)
	wantM, wantV := zero, zero
	plainP, plainM, plainV := wantP, zero, zero
	state := s.exact.input("state", []float64{3, 0.375, 0}, compute.StateLen)
	w := &band{}
	if working {
		w = s.working.output("w", n)
	}
	for o.Step = 1; o.Step <= 3; o.Step++ {
		g, data := s.exact.random("g", n)
		s.dev.AdamW(p.Tensor, w.Tensor, m.Tensor, v.Tensor, g, state, o)
		wantP, wantM, wantV = adamW[float64](wantP, wantM, wantV, data, 0.375, o)
		plainP, plainM, plainV = adamW[float32](plainP, plainM, plainV, data, 0.375, o)
		s.near(p, wantP, plainP, 0)
		s.near(m, wantM, plainM, 0)
		s.near(v, wantV, plainV, 0)
		if working {
			// w must be equal to p rounded, not only near it.
			rounded := p.read(s)
			for i, x := range rounded {
				rounded[i] = s.working.round(x)
			}
			s.same(w, rounded)
		}
	}
}
