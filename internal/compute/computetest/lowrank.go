package computetest

import (
	"fmt"
	"strings"

	"github.com/lor2c/lor2c/internal/compute"
)

// lowRankData has the inputs of one half of a low-rank path, between rows [N,K] and ranks [N,R], and the gradient of
// its output.
type lowRankData struct {
	n, k, r    int
	scale      float32 // of the upper half
	drop       compute.Dropout
	rows, u, w []float64 // x or dst; ranks; A [R,K] or B [K,R]
	dy, du     []float64 // gradients of the outputs: [N,K], [N,R]
	dw, dx     []float64 // values that gradients are added to
	accumulate bool
}

// masked computes dropout(x), rounded to F.
func masked[F float](x, multipliers []float64) []float64 {
	y := in[F](x)
	for i := range y {
		y[i] *= F(multipliers[i])
	}
	return out(y)
}

// lowRankDown computes u.
func lowRankDown[F float](l *lowRankData) []float64 {
	return gemm[F](nil, 1, masked[F](l.rows, mask(l.drop, l.n, l.k)), false, l.w, true, l.n, l.r, l.k)
}

// lowRankDownGrad computes dx and da.
func lowRankDownGrad[F float](l *lowRankData) (dx, da []float64) {
	mul := mask(l.drop, l.n, l.k)
	da = gemm[F](l.dw, 1, l.du, true, masked[F](l.rows, mul), false, l.r, l.k, l.n)
	dx = masked[F](gemm[F](nil, 1, l.du, false, l.w, false, l.n, l.k, l.r), mul)
	if l.accumulate {
		sum := in[F](l.dx)
		for i := range sum {
			sum[i] += F(dx[i])
		}
		dx = out(sum)
	}
	return dx, da
}

// lowRankUp computes dst.
func lowRankUp[F float](l *lowRankData) []float64 {
	return gemm[F](l.rows, l.scale, l.u, false, l.w, true, l.n, l.k, l.r)
}

// lowRankUpGrad computes du and db.
func lowRankUpGrad[F float](l *lowRankData) (du, db []float64) {
	du = gemm[F](nil, l.scale, l.dy, false, l.w, false, l.n, l.r, l.k)
	return du, gemm[F](l.dw, l.scale, l.dy, true, l.u, false, l.k, l.r, l.n)
}

func lowRankCases() []testCase {
	var all []testCase
	// Some widths are multiples of 8, for which devices have wider loads. Ranks are on both sides of 8 and 16, up to
	// the largest that a configuration may have.
	for _, size := range [][3]int{
		{1, 3, 1}, {33, 17, 3}, {65, 257, 8}, {130, 33, 8}, {2100, 17, 3}, {33, 264, 5}, {17, 1025, 16}, {257, 40, 11},
		{33, 136, 17}, {65, 33, 33}, {3, 72, 256}, {1100, 9, 24},
	} {
		l := lowRankData{n: size[0], k: size[1], r: size[2], scale: 1.75}
		name := fmt.Sprintf("n=%d/k=%d/r=%d", l.n, l.k, l.r)
		all = append(all, testCase{name: "op=LowRankUp/" + name, run: func(s *suite) { checkLowRankUp(s, l) }})
		for flags := range 4 {
			l := l
			if l.accumulate = flags&2 != 0; flags&1 != 0 {
				l.drop = someDropout(0.25)
			}
			all = append(all, testCase{
				name: fmt.Sprintf("op=LowRankDown/%s/drop=%v/accumulate=%t", name, l.drop.P, l.accumulate),
				run:  func(s *suite) { checkLowRankDown(s, l) },
			})
		}
	}
	for _, size := range [][3]int{
		{33, 17, 3}, {65, 256, 8}, {257, 768, 8}, {33, 1024, 16}, {17, 264, 13}, {3, 1032, 8}, {33, 72, 17},
	} {
		for _, order := range lowRankOrders {
			all = append(all, testCase{
				name: fmt.Sprintf("op=LowRankUp/n=%d/c=%d/r=%d/order=%s", size[0], size[1], size[2], order),
				run:  func(s *suite) { checkLowRankBetween(s, size[0], size[1], size[2], order) },
			})
		}
	}
	return all
}

func checkLowRankDown(s *suite, l lowRankData) {
	var x, a, du compute.Tensor
	x, l.rows = s.working.random("x", l.n, l.k)
	a, l.w = s.working.random("a", l.r, l.k)
	u := s.exact.output("u", l.n, l.r)
	s.dev.LowRankDown(u.Tensor, x, a, l.drop)
	s.near(u, lowRankDown[float64](&l), lowRankDown[float32](&l), root(l.k))

	du, l.du = s.exact.random("du", l.n, l.r)
	for absent := range 3 {
		ga, a0 := s.exact.adds("da", l.r, l.k)
		gx, x0 := s.working.adds("dx", l.n, l.k)
		l.dw, l.dx = a0, x0
		dx, da, rows := gx.Tensor, ga.Tensor, x
		switch absent {
		case 1:
			dx = compute.Tensor{}
		case 2:
			da, rows = compute.Tensor{}, compute.Tensor{}
		}
		s.dev.LowRankDownGrad(dx, da, rows, a, du, l.drop, l.accumulate)
		wantX, wantA := lowRankDownGrad[float64](&l)
		plainX, plainA := lowRankDownGrad[float32](&l)
		if !dx.Present() {
			wantX, plainX = x0, x0
		}
		if !da.Present() {
			wantA, plainA = a0, a0
		}
		s.near(gx, wantX, plainX, root(l.r))
		s.near(ga, wantA, plainA, root(l.n))
	}
}

func checkLowRankUp(s *suite, l lowRankData) {
	var u, b, dy compute.Tensor
	u, l.u = s.exact.random("u", l.n, l.r)
	b, l.w = s.working.random("b", l.k, l.r)
	dst, start := s.working.adds("dst", l.n, l.k)
	l.rows = start
	s.dev.LowRankUp(dst.Tensor, u, b, l.scale)
	s.near(dst, lowRankUp[float64](&l), lowRankUp[float32](&l), float64(l.scale)*root(l.r))

	dy, l.dy = s.working.random("dy", l.n, l.k)
	for absent := range 3 {
		gu := s.exact.output("du", l.n, l.r)
		gb, b0 := s.exact.adds("db", l.k, l.r)
		l.dw = b0
		du, db, ranks := gu.Tensor, gb.Tensor, u
		switch absent {
		case 1:
			du = compute.Tensor{}
		case 2:
			db, ranks = compute.Tensor{}, compute.Tensor{}
		}
		s.dev.LowRankUpGrad(du, db, ranks, b, dy, l.scale)
		wantU, wantB := lowRankUpGrad[float64](&l)
		plainU, plainB := lowRankUpGrad[float32](&l)
		if !db.Present() {
			wantB, plainB = b0, b0
		}
		if du.Present() {
			s.near(gu, wantU, plainU, float64(l.scale)*root(l.k))
		}
		s.near(gb, wantB, plainB, float64(l.scale)*root(l.n))
	}
}

// lowRankOrders are the ops that can follow a norm: the end of a module and the start of the next, which a device may
// run together with the norm; either of them alone; the end of a module that adds to another tensor; and the two in
// reverse order.
var lowRankOrders = []string{"up-down", "up", "down", "other-down", "down-up"}

// checkLowRankBetween checks that a LayerNorm and the ops that follow it give the right result whether or not the
// device runs them together.
func checkLowRankBetween(s *suite, n, c, r int, order string) {
	norm := normData{
		n: n, c: c, drop: someDropout(0.1), dgamma: make([]float64, c), dbeta: make([]float64, c),
		dy: make([]float64, n*c),
	}
	norm.drop.Site++
	var x, residual, gamma, beta, ranks, a, b compute.Tensor
	x, norm.x = s.working.random("x", n, c)
	residual, norm.residual = s.working.random("residual", n, c)
	gamma, norm.gamma = s.working.random("gamma", c)
	beta, norm.beta = s.working.random("beta", c)
	up := lowRankData{n: n, k: c, r: r, scale: 0.5}
	down := lowRankData{n: n, k: c, r: r, drop: someDropout(0.25)}
	ranks, up.u = s.exact.random("u before", n, r)
	b, up.w = s.working.random("b", c, r)
	a, down.w = s.working.random("a", r, c)
	dst, sum, stats := s.working.output("dst", n, c), s.working.output("sum", n, c), s.exact.output("stats", n, 2)
	u := s.exact.output("u", n, r)
	other, start := s.working.adds("other", n, c)
	args := compute.LayerNormArgs{
		Dst: dst.Tensor, Sum: sum.Tensor, Stats: stats.Tensor, X: x, Residual: residual, Gamma: gamma, Beta: beta,
		Eps: normEps, Drop: norm.drop,
	}
	s.dev.LayerNorm(args)
	for _, op := range strings.Split(order, "-") {
		switch op {
		case "up":
			s.dev.LowRankUp(dst.Tensor, ranks, b, up.scale)
		case "other":
			s.dev.LowRankUp(other.Tensor, ranks, b, up.scale)
		case "down":
			s.dev.LowRankDown(u.Tensor, dst.Tensor, a, down.drop)
		}
	}

	s.near(sum, addNorm[float64](norm), addNorm[float32](norm), 1)
	norm.sum = sum.read(s)
	want, plain := layerNorm[float64](norm), layerNorm[float32](norm)
	s.nearColumns(stats, want.stats, plain.stats)
	for i, v := range plain.dst {
		plain.dst[i] = s.working.round(v)
	}
	if order == "other-down" {
		up.rows = start
		s.near(other, lowRankUp[float64](&up), lowRankUp[float32](&up), root(r))
	}
	// u is computed from dst with all bits that the device has.
	down.rows = dst.read(s)
	if order == "down-up" {
		alone := s.working.output("dst alone", n, c)
		args.Dst = alone.Tensor
		s.dev.LayerNorm(args)
		down.rows = alone.read(s)
	}
	if order != "down" && order != "other-down" {
		up.rows = want.dst
		exact := lowRankUp[float64](&up)
		up.rows = plain.dst
		want.dst, plain.dst = exact, lowRankUp[float32](&up)
	}
	s.near(dst, want.dst, plain.dst, root(r))
	if order != "up" {
		s.near(u, lowRankDown[float64](&down), lowRankDown[float32](&down), root(c))
	}
}
