package computetest

import (
	"fmt"
	"math"

	"github.com/lor2c/lor2c/internal/compute"
)

// rmsData has the inputs of one RMSNorm, the gradient of its output, and results.
type rmsData struct {
	n, c           int
	x, gamma, dy   []float64
	dx0, dgamma    []float64 // values that gradients are added to
	dst, rstd      []float64
	dx, sum, gGain []float64 // sum is dx0 + dx
}

// rmsNorm computes results and gradients, with each step rounded to F.
func rmsNorm[F float](r rmsData) rmsData {
	n, c := r.n, r.c
	x, gamma, dy, dx0 := in[F](r.x), in[F](r.gamma), in[F](r.dy), in[F](r.dx0)
	dst, rstd, dx, sum, gain := make([]F, n*c), make([]F, n), make([]F, n*c), make([]F, n*c), make([]F, c)
	for row := range n {
		var square, gh F
		for _, v := range x[row*c : (row+1)*c] {
			square += v * v / F(c)
		}
		rstd[row] = 1 / F(math.Sqrt(float64(square+F(normEps))))
		for j := range c {
			i := row*c + j
			h := x[i] * rstd[row]
			dst[i] = h * gamma[j]
			gain[j] += dy[i] * h
			gh += dy[i] * gamma[j] * h / F(c)
		}
		for j := range c {
			i := row*c + j
			dx[i] = rstd[row] * (dy[i]*gamma[j] - x[i]*rstd[row]*gh)
			sum[i] = dx0[i] + dx[i]
		}
	}
	for j := range c {
		gain[j] += F(r.dgamma[j])
	}
	r.dst, r.rstd, r.dx, r.sum, r.gGain = out(dst), out(rstd), out(dx), out(sum), out(gain)
	return r
}

func rmsNormCases() []testCase {
	var all []testCase
	for _, size := range [][2]int{
		{1, 3}, {3, 17}, {17, 33}, {33, 257}, {3, 1025}, {257, 65}, {9, 64}, {5, 1024}, {3, 2056}, {2, 8200},
	} {
		// With the smaller x the mean squares of the rows are close to eps.
		for _, std := range []float64{1, 0.003} {
			all = append(all, testCase{
				name: fmt.Sprintf("op=RMSNorm/n=%d/c=%d/std=%v", size[0], size[1], std),
				run:  func(s *suite) { checkRMSNorm(s, size[0], size[1], std) },
			})
		}
	}
	return all
}

func checkRMSNorm(s *suite, n, c int, std float64) {
	r := rmsData{n: n, c: c, x: s.working.normal(n*c, std)}
	x := s.working.input("x", r.x, n, c)
	gamma, g := s.working.random("gamma", c)
	dy, gy := s.working.random("dy", n, c)
	added, dx0 := s.working.adds("dx added to", n, c)
	dgamma, g0 := s.exact.adds("dgamma", c)
	r.gamma, r.dy, r.dx0, r.dgamma = g, gy, dx0, g0
	want, plain := rmsNorm[float64](r), rmsNorm[float32](r)

	dst, rstd := s.working.output("dst", n, c), s.exact.output("rstd", n)
	s.dev.RMSNorm(compute.RMSNormArgs{Dst: dst.Tensor, RStd: rstd.Tensor, X: x, Gamma: gamma, Eps: normEps})
	s.near(dst, want.dst, plain.dst, 1)
	s.near(rstd, want.rstd, plain.rstd, 0)

	// A gradient is a difference of terms of this magnitude.
	slope := 1.0
	for _, v := range want.rstd {
		slope = max(slope, v)
	}
	s.dev.RMSNormGrad(compute.RMSNormGradArgs{
		DX: added.Tensor, DGamma: dgamma.Tensor, X: x, Gamma: gamma, RStd: rstd.Tensor, DY: dy, Accumulate: true,
	})
	s.near(added, want.sum, plain.sum, slope)
	s.near(dgamma, want.gGain, plain.gGain, root(n))
	dx := s.working.output("dx alone", n, c)
	s.dev.RMSNormGrad(compute.RMSNormGradArgs{DX: dx.Tensor, X: x, Gamma: gamma, RStd: rstd.Tensor, DY: dy})
	s.near(dx, want.dx, plain.dx, slope)
	alone := s.exact.inout("dgamma alone", g0, c)
	s.dev.RMSNormGrad(compute.RMSNormGradArgs{DGamma: alone.Tensor, X: x, Gamma: gamma, RStd: rstd.Tensor, DY: dy})
	s.near(alone, want.gGain, plain.gGain, root(n))
}
