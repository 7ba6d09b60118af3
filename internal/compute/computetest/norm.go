package computetest

import (
	"fmt"
	"math"

	"github.com/lor2c/lor2c/internal/compute"
)

// normData has the inputs of one LayerNorm, the gradient of its output, and results.
type normData struct {
	n, c          int
	drop          compute.Dropout
	x, residual   []float64 // residual may be nil
	gamma, beta   []float64
	dy            []float64
	dgamma, dbeta []float64 // values that gradients are added to
	sum           []float64 // as the device stored it
	stats         []float64
	dx, dresidual []float64
	dst           []float64
	gGamma, gBeta []float64
}

const normEps float32 = 1e-5

// addNorm returns residual + dropout(x).
func addNorm[F float](l normData) []float64 {
	mul := in[F](mask(l.drop, l.n, l.c))
	sum := in[F](l.x)
	for i := range sum {
		sum[i] = F(l.residual[i]) + sum[i]*mul[i]
	}
	return out(sum)
}

// layerNorm computes results and gradients from the sum, with each step rounded to F. It works on a copy, so that the
// same data can be used in both precisions.
func layerNorm[F float](l normData) normData {
	n, c := l.n, l.c
	mul := in[F](mask(l.drop, n, c))
	sum := in[F](l.sum)
	gamma, beta, dy := in[F](l.gamma), in[F](l.beta), in[F](l.dy)
	gGamma, gBeta := make([]F, c), make([]F, c)
	stats, dst := make([]F, 2*n), make([]F, n*c)
	dres, dx := make([]F, n*c), make([]F, n*c)
	for r := range n {
		var mean, variance, g, gh F
		for _, v := range sum[r*c : (r+1)*c] {
			mean += v / F(c)
		}
		for _, v := range sum[r*c : (r+1)*c] {
			variance += (v - mean) * (v - mean) / F(c)
		}
		rstd := 1 / F(math.Sqrt(float64(variance+F(normEps))))
		stats[2*r], stats[2*r+1] = mean, rstd
		for j := range c {
			i := r*c + j
			h := (sum[i] - mean) * rstd
			dst[i] = h*gamma[j] + beta[j]
			gGamma[j] += dy[i] * h
			gBeta[j] += dy[i]
			g += dy[i] * gamma[j] / F(c)
			gh += dy[i] * gamma[j] * h / F(c)
		}
		for j := range c {
			i := r*c + j
			h := (sum[i] - mean) * rstd
			dres[i] = rstd * (dy[i]*gamma[j] - g - h*gh)
			dx[i] = dres[i] * mul[i]
		}
	}
	for j := range c {
		gGamma[j] += F(l.dgamma[j])
		gBeta[j] += F(l.dbeta[j])
	}
	l.stats, l.dst, l.dx, l.dresidual = out(stats), out(dst), out(dx), out(dres)
	l.gGamma, l.gBeta = out(gGamma), out(gBeta)
	return l
}

func normCases() []testCase {
	var all []testCase
	for _, size := range [][2]int{
		{1, 3}, {3, 17}, {17, 33}, {33, 257}, {3, 1025}, {257, 65}, {9, 64}, {5, 1024}, {3, 2056}, {2, 8200},
	} {
		for _, p := range []float32{0, 0.3} {
			all = append(all, testCase{
				name: fmt.Sprintf("op=LayerNorm/n=%d/c=%d/residual=true/drop=%v", size[0], size[1], p),
				run:  func(s *suite) { checkLayerNorm(s, size[0], size[1], someDropout(p), true, 0) },
			})
		}
		all = append(all, testCase{
			name: fmt.Sprintf("op=LayerNorm/n=%d/c=%d/residual=false", size[0], size[1]),
			run:  func(s *suite) { checkLayerNorm(s, size[0], size[1], compute.Dropout{}, false, 0) },
		})
	}
	// Here a variance from a sum of squares in one pass would fail.
	return append(all, testCase{
		name: "op=LayerNorm/n=17/c=257/mean=1000",
		run:  func(s *suite) { checkLayerNorm(s, 17, 257, compute.Dropout{}, false, 1000) },
	})
}

func checkLayerNorm(s *suite, n, c int, drop compute.Dropout, withResidual bool, mean float64) {
	x := s.working.normal(n*c, 1)
	for i := range x {
		x[i] = s.working.round(float64(float32(x[i] + mean)))
	}
	l := normData{n: n, c: c, drop: drop, x: x, sum: x}
	var residual, sum compute.Tensor
	var sumBand *band
	if withResidual {
		residual, l.residual = s.working.random("residual", n, c)
		sumBand = s.working.output("sum", n, c)
		sum = sumBand.Tensor
	}
	gamma, g := s.working.random("gamma", c)
	beta, b := s.working.random("beta", c)
	dy, gy := s.working.random("dy", n, c)
	dgamma, g0 := s.exact.adds("dgamma", c)
	dbeta, b0 := s.exact.adds("dbeta", c)
	l.gamma, l.beta, l.dy, l.dgamma, l.dbeta = g, b, gy, g0, b0
	dst, stats := s.working.output("dst", n, c), s.exact.output("stats", n, 2)
	in := s.working.input("x", x, n, c)
	s.dev.LayerNorm(compute.LayerNormArgs{
		Dst: dst.Tensor, Sum: sum, Stats: stats.Tensor, X: in, Residual: residual, Gamma: gamma, Beta: beta,
		Eps: normEps, Drop: drop,
	})
	if withResidual {
		s.near(sumBand, addNorm[float64](l), addNorm[float32](l), 1)
		l.sum = sumBand.read(s)
	}
	want, plain := layerNorm[float64](l), layerNorm[float32](l)
	s.near(dst, want.dst, plain.dst, 1)
	s.nearColumns(stats, want.stats, plain.stats)
	if withResidual {
		again, over := s.working.output("dst", n, c), s.working.inout("sum=x", x, n, c)
		s.dev.LayerNorm(compute.LayerNormArgs{
			Dst: again.Tensor, Sum: over.Tensor, Stats: stats.Tensor, X: over.Tensor, Residual: residual,
			Gamma: gamma, Beta: beta, Eps: normEps, Drop: drop,
		})
		s.near(again, want.dst, plain.dst, 1)
		s.same(over, l.sum)
	} else {
		sum = in
	}

	// A gradient is a sum of terms of this magnitude that may cancel.
	slope := 1.0
	for i := 1; i < len(want.stats); i += 2 {
		slope = max(slope, want.stats[i])
	}
	dx, dres := s.working.output("dx", n, c), s.working.output("dresidual", n, c)
	s.dev.LayerNormGrad(compute.LayerNormGradArgs{
		DX: dx.Tensor, DResidual: dres.Tensor, DGamma: dgamma.Tensor, DBeta: dbeta.Tensor, Sum: sum, Gamma: gamma,
		Stats: stats.Tensor, DY: dy, Drop: drop,
	})
	s.near(dx, want.dx, plain.dx, slope)
	s.near(dres, want.dresidual, plain.dresidual, slope)
	s.near(dgamma, want.gGamma, plain.gGamma, root(n))
	s.near(dbeta, want.gBeta, plain.gBeta, root(n))
	s.checkNormAbsent(sum, gamma, stats.Tensor, dy, l, want, plain, slope)
}

// checkNormAbsent calls LayerNormGrad with one or two of the gradients absent.
func (s *suite) checkNormAbsent(sum, gamma, stats, dy compute.Tensor, l, want, plain normData, slope float64) {
	dx := s.working.output("dx alone", l.n, l.c)
	s.dev.LayerNormGrad(compute.LayerNormGradArgs{
		DX: dx.Tensor, Sum: sum, Gamma: gamma, Stats: stats, DY: dy, Drop: l.drop,
	})
	s.near(dx, want.dx, plain.dx, slope)
	dres, dgamma := s.working.output("dresidual", l.n, l.c), s.exact.inout("dgamma", l.dgamma, l.c)
	s.dev.LayerNormGrad(compute.LayerNormGradArgs{
		DResidual: dres.Tensor, DGamma: dgamma.Tensor, Sum: sum, Gamma: gamma, Stats: stats, DY: dy, Drop: l.drop,
	})
	s.near(dres, want.dresidual, plain.dresidual, slope)
	s.near(dgamma, want.gGamma, plain.gGamma, root(l.n))
	dbeta := s.exact.inout("dbeta alone", l.dbeta, l.c)
	s.dev.LayerNormGrad(compute.LayerNormGradArgs{
		DBeta: dbeta.Tensor, Sum: sum, Gamma: gamma, Stats: stats, DY: dy, Drop: l.drop,
	})
	s.near(dbeta, want.gBeta, plain.gBeta, root(l.n))
}
