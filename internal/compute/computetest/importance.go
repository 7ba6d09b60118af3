package computetest

import (
	"fmt"
	"math"
	"slices"

	"github.com/lor2c/lor2c/internal/compute"
)

// averages computes one update of Importance, with each step rounded to F.
func averages[F float](mean, dev, p, g []float64, factor, beta1, beta2 float32) (m, u []float64) {
	a, b := in[F](mean), in[F](dev)
	for i := range a {
		now := F(math.Abs(float64(F(p[i]) * (F(g[i]) * F(factor)))))
		a[i] = F(beta1)*a[i] + (1-F(beta1))*now
		b[i] = F(beta2)*b[i] + (1-F(beta2))*F(math.Abs(float64(now-a[i])))
	}
	return out(a), out(b)
}

// sumProducts computes the sums of the rows of x y, or of the columns, with each step rounded to F.
func sumProducts[F float](start, x, y []float64, cols int, alpha float32, columns bool) []float64 {
	sum, z := make([]F, len(start)), in[F](start)
	for i := range x {
		to := i / cols
		if columns {
			to = i % cols
		}
		sum[to] += F(x[i]) * F(y[i])
	}
	for i := range z {
		z[i] += F(alpha) * sum[i]
	}
	return out(z)
}

func importanceCases() []testCase {
	all := []testCase{{name: "op=Importance/golden=adalora", run: goldenImportance}}
	for _, n := range []int{1, 17, 257, 40001} {
		all = append(all, testCase{name: fmt.Sprintf("op=Importance/n=%d", n), run: func(s *suite) { checkImportance(s, n) }})
	}
	for _, size := range [][2]int{{1, 1}, {3, 1025}, {33, 17}, {2049, 8}} {
		for _, columns := range []bool{false, true} {
			all = append(all, testCase{
				name: fmt.Sprintf("op=SumProducts/i=%d/j=%d/columns=%t", size[0], size[1], columns),
				run:  func(s *suite) { checkSumProducts(s, size[0], size[1], columns) },
			})
		}
	}
	for _, n := range []int{1, 17, 257, 1100} {
		for _, k := range []int{0, 1, n / 2, n} {
			all = append(all, testCase{name: fmt.Sprintf("op=ZeroSmallest/n=%d/k=%d", n, k), run: func(s *suite) {
				checkZeroSmallest(s, s.working, n, k)
				checkZeroSmallest(s, s.exact, n, k)
			}})
		}
	}
	return all
}

func checkImportance(s *suite, n int) {
	const beta1, beta2 = 0.85, 0.75
	p, w := s.exact.random("p", n)
	g, slope := s.exact.random("g", n)
	mean, m := s.exact.adds("mean", n)
	dev, u := s.exact.adds("dev", n)
	want, wantU := averages[float64](m, u, w, slope, 0.5, beta1, beta2)
	plain, plainU := averages[float32](m, u, w, slope, 0.5, beta1, beta2)
	s.dev.Importance(mean.Tensor, dev.Tensor, p, g, s.exact.input("state", []float64{2, 0.5, 0}, 3), beta1, beta2)
	s.near(mean, want, plain, 1)
	s.near(dev, wantU, plainU, 1)
	mean, dev = s.exact.inout("mean of a step that failed", m, n), s.exact.inout("dev of a step that failed", u, n)
	s.dev.Importance(mean.Tensor, dev.Tensor, p, g, s.exact.input("halted", []float64{2, 0.5, 1}, 3), beta1, beta2)
	s.same(mean, m)
	s.same(dev, u)
}

// goldenImportance updates twice, with a gradient and with twice that gradient.
func goldenImportance(s *suite) {
	e := s.exact.input("e", []float64{0.7, -0.2}, 2)
	mean, dev := s.exact.inout("mean", make([]float64, 2), 2), s.exact.inout("dev", make([]float64, 2), 2)
	for _, factor := range []float64{1, 2} {
		g := s.exact.input("g", []float64{float64(float32(1.134994)), float64(float32(-4.919975))}, 2)
		s.dev.Importance(mean.Tensor, dev.Tensor, e, g, s.exact.input("state", []float64{1, factor, 0}, 3), 0.85, 0.85)
	}
	s.close(mean, 0.339647, 0.420658)
	s.close(dev, 0.273505, 0.338740)
}

func checkSumProducts(s *suite, rows, cols int, columns bool) {
	x, a := s.exact.random("x", rows, cols)
	y, b := s.exact.random("y", rows, cols)
	n, terms := rows, cols
	if columns {
		n, terms = cols, rows
	}
	dst, start := s.exact.adds("dst", n)
	s.dev.SumProducts(dst.Tensor, x, y, 0.375, columns)
	s.near(dst, sumProducts[float64](start, a, b, cols, 0.375, columns),
		sumProducts[float32](start, a, b, cols, 0.375, columns), root(terms))
}

// checkZeroSmallest has equal scores among those on both sides of the limit.
func checkZeroSmallest(s *suite, k kind, n, smallest int) {
	score := make([]float64, n)
	for i := range score {
		score[i] = float64(s.rng.IntN(1+n/2)) / 8
	}
	x, want := k.adds("x", n)
	want = slices.Clone(want)
	if smallest > 0 {
		limit := slices.Sorted(slices.Values(score))[smallest-1]
		for i, v := range score {
			if v <= limit {
				want[i] = 0
			}
		}
	}
	s.dev.ZeroSmallest(x.Tensor, s.exact.input("scores", score, n), smallest)
	s.same(x, want)
}

// differencePenalty differentiates the terms of a loss that have no formula of their own elsewhere.
func differencePenalty(s *suite) {
	x, z := s.variable(s.working, "x", 3, 4), s.variable(s.working, "z", 3, 4)
	q, loss := s.variable(s.exact, "q", 3, 4), s.exact.inout("loss", []float64{0}, 1)
	f, _ := s.exact.random("f", 3, 4)
	forward := func(dx, dz, dq compute.Tensor) float64 {
		s.dev.Fill(loss.Tensor, 0)
		s.dev.SymmetricKL(loss.Tensor, dx, dz, x.Tensor, z.Tensor, 0.5, false)
		s.dev.Balance(loss.Tensor, dq, q.Tensor, f, 0.25)
		return loss.read(s)[0]
	}
	var none compute.Tensor
	forward(x.grad.Tensor, z.grad.Tensor, q.grad.Tensor)
	for _, v := range []*variable{x, z, q} {
		s.difference(v, func() float64 { return forward(none, none, none) })
	}
}
