package computetest

import (
	"fmt"

	"lor2c/internal/compute"
)

// lowRankData is one low-rank branch and a gradient that comes into it.
type lowRankData struct {
	n, k, m, r   int
	scale        float32
	drop         compute.Dropout
	x, a, b      []float64
	start        []float64 // of dst
	dy           []float64
	da0, db0, dx []float64 // starts of the gradients
	accumulate   bool
}

// masked returns dropout(x), rounded to F.
func masked[F float](x, multipliers []float64) []float64 {
	y := in[F](x)
	for i := range y {
		y[i] *= F(multipliers[i])
	}
	return out(y)
}

// lowRank computes u and dst.
func lowRank[F float](l *lowRankData) (u, dst []float64) {
	x := masked[F](l.x, mask(l.drop, l.n, l.k))
	u = gemm[F](nil, 1, x, false, l.a, true, l.n, l.r, l.k)
	return u, gemm[F](l.start, l.scale, u, false, l.b, true, l.n, l.m, l.r)
}

// lowRankGrad computes dx, da and db.
func lowRankGrad[F float](l *lowRankData) (dx, da, db []float64) {
	u, _ := lowRank[F](l)
	mul := mask(l.drop, l.n, l.k)
	du := gemm[F](nil, l.scale, l.dy, false, l.b, false, l.n, l.r, l.m)
	db = gemm[F](l.db0, l.scale, l.dy, true, u, false, l.m, l.r, l.n)
	da = gemm[F](l.da0, 1, du, true, masked[F](l.x, mul), false, l.r, l.k, l.n)
	dx = masked[F](gemm[F](nil, 1, du, false, l.a, false, l.n, l.k, l.r), mul)
	if l.accumulate {
		sum := in[F](l.dx)
		for i := range sum {
			sum[i] += F(dx[i])
		}
		dx = out(sum)
	}
	return dx, da, db
}

func lowRankCases() []testCase {
	var all []testCase
	for _, size := range [][4]int{{1, 3, 17, 1}, {33, 17, 3, 3}, {65, 257, 33, 8}, {130, 33, 257, 8}, {2100, 17, 9, 3}} {
		for flags := range 4 {
			drop, accumulate := compute.Dropout{}, flags&2 != 0
			if flags&1 != 0 {
				drop = someDropout(0.25)
			}
			all = append(all, testCase{
				name: fmt.Sprintf("op=LowRank/n=%d/k=%d/m=%d/r=%d/drop=%v/accumulate=%t",
					size[0], size[1], size[2], size[3], drop.P, accumulate),
				run: func(s *suite) {
					checkLowRank(s, &lowRankData{
						n: size[0], k: size[1], m: size[2], r: size[3],
						scale: 1.75, drop: drop, accumulate: accumulate,
					})
				},
			})
		}
	}
	return all
}

func checkLowRank(s *suite, l *lowRankData) {
	x, dx := s.float.random("x", l.n, l.k)
	a, da := s.float.random("a", l.r, l.k)
	b, db := s.float.random("b", l.m, l.r)
	l.x, l.a, l.b = dx, da, db
	dst, start := s.float.adds("dst", l.n, l.m)
	l.start = start
	u := s.full.output("u", l.n, l.r)
	s.dev.LowRank(dst.Tensor, u.Tensor, x, a, b, l.scale, l.drop)
	wantU, want := lowRank[float64](l)
	plainU, plain := lowRank[float32](l)
	s.near(u, wantU, plainU, root(l.k))
	s.near(dst, want, plain, float64(l.scale)*root(l.r*l.k))

	dy, g := s.float.random("dy", l.n, l.m)
	l.dy = g
	for _, absent := range []bool{false, true} {
		ga, a0 := s.full.adds("da", l.r, l.k)
		gb, b0 := s.full.adds("db", l.m, l.r)
		gx, x0 := s.float.adds("dx", l.n, l.k)
		l.da0, l.db0, l.dx = a0, b0, x0
		target := gx.Tensor
		if absent {
			target = compute.Tensor{}
		}
		s.dev.LowRankGrad(target, ga.Tensor, gb.Tensor, x, u.Tensor, a, b, dy, l.scale, l.drop, l.accumulate)
		wantX, wantA, wantB := lowRankGrad[float64](l)
		plainX, plainA, plainB := lowRankGrad[float32](l)
		if absent {
			wantX, plainX = x0, x0
		}
		s.near(gx, wantX, plainX, float64(l.scale)*root(l.m*l.r))
		s.near(ga, wantA, plainA, float64(l.scale)*root(l.m*l.n))
		s.near(gb, wantB, plainB, float64(l.scale)*root(l.n*l.k))
	}
}
