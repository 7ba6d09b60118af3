package computetest

import (
	"fmt"
	"math"

	"github.com/lor2c/lor2c/internal/compute"
)

// swiglu computes the result and its gradients, with each step rounded to F.
func swiglu[F float](gate, up, dy []float64) (y, dgate, dup []float64) {
	g, u, d := in[F](gate), in[F](up), in[F](dy)
	v, dg, du := make([]F, len(g)), make([]F, len(g)), make([]F, len(g))
	for i, x := range g {
		s := 1 / (1 + F(math.Exp(float64(-x))))
		v[i] = x * s * u[i]
		dg[i] = d[i] * u[i] * s * (1 + x*(1-s))
		du[i] = d[i] * x * s
	}
	return out(v), out(dg), out(du)
}

func swigluCases() []testCase {
	var all []testCase
	for _, n := range []int{1, 3, 17, 257, 1025, 2056} {
		// Magnitudes of gate at which silu is curved, and at which it is constant or linear.
		for _, std := range []float64{1e-3, 1, 30, 1e4} {
			all = append(all, testCase{
				name: fmt.Sprintf("op=SwiGLU/n=%d/std=%g", n, std),
				run:  func(s *suite) { checkSwiGLU(s, n, std) },
			})
		}
	}
	return all
}

func checkSwiGLU(s *suite, n int, std float64) {
	data := s.working.normal(n, std)
	gate := s.working.input("gate", data, n)
	up, u := s.working.random("up", n)
	dy, d := s.working.random("dy", n)
	want, wantGate, wantUp := swiglu[float64](data, u, d)
	plain, plainGate, plainUp := swiglu[float32](data, u, d)
	dst, dgate, dup := s.working.output("dst", n), s.working.output("dgate", n), s.working.output("dup", n)
	s.dev.SwiGLU(dst.Tensor, gate, up)
	s.near(dst, want, plain, 0)
	s.dev.SwiGLUGrad(dgate.Tensor, dup.Tensor, gate, up, dy)
	s.near(dgate, wantGate, plainGate, 1)
	s.near(dup, wantUp, plainUp, 0)

	var none compute.Tensor
	dgate, dup = s.working.output("dgate alone", n), s.working.output("dup alone", n)
	s.dev.SwiGLUGrad(dgate.Tensor, none, gate, up, dy)
	s.near(dgate, wantGate, plainGate, 1)
	s.dev.SwiGLUGrad(none, dup.Tensor, gate, up, dy)
	s.near(dup, wantUp, plainUp, 0)
}
