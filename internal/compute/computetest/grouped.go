package computetest

import (
	"fmt"

	"github.com/lor2c/lor2c/internal/compute"
)

// grouped is a low-rank path between k columns and r ranks in groups. The dense factors have its blocks on their
// diagonal, and the reference computes with them.
type grouped struct {
	lowRankData
	groups int
}

// dense returns A [R,K] or B [K,R] with the blocks of a factor on its diagonal.
func (g *grouped) dense(factor []float64, isB bool) []float64 {
	y := make([]float64, g.r*g.k)
	g.blocks(isB, func(block, at int) { y[at] = factor[block] })
	return y
}

// diagonal returns the blocks of a dense factor.
func (g *grouped) diagonal(dense []float64, isB bool) []float64 {
	y := make([]float64, g.r*g.k/g.groups)
	g.blocks(isB, func(block, at int) { y[block] = dense[at] })
	return y
}

// blocks calls f for every element of the factor with its index there and in the dense factor.
func (g *grouped) blocks(isB bool, f func(block, at int)) {
	ranks, cols := g.r/g.groups, g.k/g.groups
	for i := range g.groups {
		for a := range ranks {
			for c := range cols {
				rank, col := i*ranks+a, i*cols+c
				if isB {
					f(col*ranks+a, col*g.r+rank)
				} else {
					f(rank*cols+c, rank*g.k+col)
				}
			}
		}
	}
}

func groupedCases() []testCase {
	var all []testCase
	for _, size := range [][4]int{{3, 4, 2, 2}, {33, 24, 4, 2}, {65, 264, 33, 3}, {257, 40, 8, 4}, {1100, 18, 6, 6}} {
		for _, p := range []float32{0, 0.25} {
			g := grouped{lowRankData{n: size[0], k: size[1], r: size[2], scale: 1.75}, size[3]}
			if p > 0 {
				g.drop = someDropout(p)
			}
			name := fmt.Sprintf("n=%d/k=%d/r=%d/groups=%d/drop=%v", g.n, g.k, g.r, g.groups, p)
			all = append(all,
				testCase{name: "op=GroupedDown/" + name, run: func(s *suite) { checkGroupedDown(s, g) }},
				testCase{name: "op=GroupedUp/" + name, run: func(s *suite) { checkGroupedUp(s, g) }},
			)
		}
	}
	return all
}

func checkGroupedDown(s *suite, g grouped) {
	var x, du compute.Tensor
	x, g.rows = s.working.random("x", g.n, g.k)
	blocks := s.working.normal(g.r*g.k/g.groups, 1)
	a := s.working.input("a", blocks, g.r, g.k/g.groups)
	g.w = g.dense(blocks, false)
	u := s.exact.output("u", g.n, g.r)
	s.dev.LowRankDown(u.Tensor, x, a, g.drop)
	s.near(u, lowRankDown[float64](&g.lowRankData), lowRankDown[float32](&g.lowRankData), root(g.k/g.groups))

	du, g.du = s.exact.random("du", g.n, g.r)
	for flags := range 4 {
		g.accumulate = flags&1 != 0
		ga, start := s.exact.adds("da", g.r, g.k/g.groups)
		gx, x0 := s.working.adds("dx", g.n, g.k)
		g.dw, g.dx = g.dense(start, false), x0
		da, rows := ga.Tensor, x
		if flags&2 != 0 {
			da, rows = compute.Tensor{}, compute.Tensor{}
		}
		s.dev.LowRankDownGrad(gx.Tensor, da, rows, a, du, g.drop, g.accumulate)
		wantX, wantA := lowRankDownGrad[float64](&g.lowRankData)
		plainX, plainA := lowRankDownGrad[float32](&g.lowRankData)
		s.near(gx, wantX, plainX, root(g.r/g.groups))
		if da.Present() {
			s.near(ga, g.diagonal(wantA, false), g.diagonal(plainA, false), root(g.n))
		}
	}
	ga, start := s.exact.adds("da alone", g.r, g.k/g.groups)
	g.dw = g.dense(start, false)
	s.dev.LowRankDownGrad(compute.Tensor{}, ga.Tensor, x, a, du, g.drop, false)
	_, want := lowRankDownGrad[float64](&g.lowRankData)
	_, plain := lowRankDownGrad[float32](&g.lowRankData)
	s.near(ga, g.diagonal(want, false), g.diagonal(plain, false), root(g.n))
}

func checkGroupedUp(s *suite, g grouped) {
	var u, dy compute.Tensor
	u, g.u = s.exact.random("u", g.n, g.r)
	blocks := s.working.normal(g.r*g.k/g.groups, 1)
	b := s.working.input("b", blocks, g.k, g.r/g.groups)
	g.w = g.dense(blocks, true)
	dst, start := s.working.adds("dst", g.n, g.k)
	g.rows = start
	s.dev.LowRankUp(dst.Tensor, u, b, g.scale)
	size := float64(g.scale) * root(g.r/g.groups)
	s.near(dst, lowRankUp[float64](&g.lowRankData), lowRankUp[float32](&g.lowRankData), size)

	dy, g.dy = s.working.random("dy", g.n, g.k)
	du, db := s.exact.output("du", g.n, g.r), s.exact.inout("db", make([]float64, len(blocks)), g.k, g.r/g.groups)
	g.dw = make([]float64, g.r*g.k)
	s.dev.LowRankUpGrad(du.Tensor, db.Tensor, u, b, dy, g.scale)
	wantU, wantB := lowRankUpGrad[float64](&g.lowRankData)
	plainU, plainB := lowRankUpGrad[float32](&g.lowRankData)
	s.near(du, wantU, plainU, float64(g.scale)*root(g.k/g.groups))
	s.near(db, g.diagonal(wantB, true), g.diagonal(plainB, true), float64(g.scale)*root(g.n))
}
