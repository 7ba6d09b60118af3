package computetest

import (
	"fmt"
	"math"

	"github.com/lor2c/lor2c/internal/compute"
)

// attnData has the inputs of one attention call and the gradient of its output.
type attnData struct {
	heads, kvHeads, dim int
	lenQ, lenK          []int // rows of each sequence
	causal              bool
	scale               float32
	drop                compute.Dropout
	q, k, v, dy         []float64
}

// cumulative returns the cu_seqlens of sequences of the given lengths, and the longest length.
func cumulative(lens []int) (cu []int32, most int) {
	cu = []int32{0}
	for _, n := range lens {
		cu = append(cu, cu[len(cu)-1]+int32(n))
		most = max(most, n)
	}
	return cu, most
}

// attnResult has everything that the two methods compute.
type attnResult struct{ y, lse, dq, dk, dv []float64 }

// attention computes the result row by row, with each step rounded to F. Operands of products, and y for the
// gradient, are also rounded by round.
func attention[F float](a *attnData, round func(float64) float64) attnResult {
	q, k, v, dy := in[F](a.q), in[F](a.k), in[F](a.v), in[F](a.dy)
	y, dq := make([]F, len(q)), make([]F, len(q))
	dk, dv := make([]F, len(k)), make([]F, len(k))
	lse := make([]F, len(q)/a.dim)
	cuQ, _ := cumulative(a.lenQ)
	cuK, _ := cumulative(a.lenK)
	for s := range a.lenQ {
		for i := range a.lenQ[s] {
			seen := a.lenK[s]
			if a.causal {
				seen = max(0, min(seen, i+1+a.lenK[s]-a.lenQ[s]))
			}
			for h := range a.heads {
				n := int(cuQ[s]) + i
				at := (n*a.heads + h) * a.dim
				row := attnRow[F]{
					dim: a.dim, stride: a.kvHeads * a.dim, scale: F(a.scale),
					round: func(x F) F { return F(round(float64(x))) },
				}
				first := min(int(cuK[s])*row.stride+h*a.kvHeads/a.heads*a.dim, len(k))
				row.q, row.dy = q[at:at+a.dim], dy[at:at+a.dim]
				row.k, row.v, row.dk, row.dv = k[first:], v[first:], dk[first:], dv[first:]
				row.mul = make([]F, seen)
				// Rows of the mask are counted from the start of the step, with one row per head.
				drop := a.drop
				drop.Row = 0
				for j := range seen {
					row.mul[j] = F(multiplier(drop, (int(a.drop.Row)+n)*a.heads+h, j))
				}
				lse[n*a.heads+h] = row.compute(y[at:at+a.dim], dq[at:at+a.dim])
			}
		}
	}
	return attnResult{out(y), out(lse), out(dq), out(dk), out(dv)}
}

// attnRow is one query of one head. Key j begins at element j*stride.
type attnRow[F float] struct {
	dim, stride         int
	scale               F
	q, dy, k, v, dk, dv []F
	mul                 []F
	round               func(F) F
}

func dot[F float](x, y []F) F {
	var sum F
	for i := range x {
		sum += x[i] * y[i]
	}
	return sum
}

// compute fills y and dq, adds to dk and dv, and returns the row's lse.
func (r *attnRow[F]) compute(y, dq []F) F {
	keys := len(r.mul)
	scores, p, dp := make([]F, keys), make([]F, keys), make([]F, keys)
	top, sum := F(math.Inf(-1)), F(0)
	for j := range p {
		scores[j] = r.scale * dot(r.q, r.k[j*r.stride:j*r.stride+r.dim])
		top = max(top, scores[j])
	}
	for j := range p {
		p[j] = F(math.Exp(float64(scores[j] - top)))
		sum += p[j]
	}
	for j := range p {
		p[j] /= sum
		dp[j] = r.mul[j] * dot(r.dy, r.v[j*r.stride:j*r.stride+r.dim])
		for d := range r.dim {
			y[d] += r.round(r.mul[j]*p[j]) * r.v[j*r.stride+d]
		}
	}
	// The gradient is computed from y and lse as the method receives them, so that their rounding is part of the
	// yardstick. delta is the sum of p dp.
	lse := top + F(math.Log(float64(sum)))
	stored := make([]F, r.dim)
	for d := range stored {
		stored[d] = r.round(y[d])
	}
	delta := dot(r.dy, stored)
	for j := range p {
		p[j] = F(math.Exp(float64(scores[j] - lse)))
		ds, kept := r.round(r.scale*p[j]*(dp[j]-delta)), r.round(r.mul[j]*p[j])
		for d := range r.dim {
			at := j*r.stride + d
			r.dv[at] += kept * r.dy[d]
			dq[d] += ds * r.k[at]
			r.dk[at] += ds * r.q[d]
		}
	}
	return lse
}

func attentionCases() []testCase {
	ragged := []int{5, 0, 1, 33, 17}
	long := []int{257, 3, 140}
	ones := []int{1, 1, 1, 1, 1}
	tiles := []int{65, 0, 1, 64, 97} // around the 64 rows of a tile
	none := compute.Dropout{}
	var all []testCase
	for _, c := range []struct {
		name string
		a    attnData
	}{
		{"one", attnData{heads: 1, kvHeads: 1, dim: 1, lenQ: []int{1}, lenK: []int{1}}},
		{"ragged", attnData{heads: 3, kvHeads: 3, dim: 17, lenQ: ragged, lenK: ragged}},
		{"grouped", attnData{heads: 6, kvHeads: 2, dim: 8, lenQ: ragged, lenK: ragged}},
		{"multi_query", attnData{heads: 4, kvHeads: 1, dim: 3, lenQ: ragged, lenK: ragged}},
		{"first_row", attnData{heads: 3, kvHeads: 3, dim: 16, lenQ: ones, lenK: ragged}},
		{"more_keys", attnData{heads: 2, kvHeads: 2, dim: 8, lenQ: []int{3, 1, 0}, lenK: []int{9, 17, 3}}},
		{"more_queries", attnData{heads: 2, kvHeads: 2, dim: 8, lenQ: []int{9, 17, 3}, lenK: []int{3, 1, 0}}},
		{"long", attnData{heads: 2, kvHeads: 1, dim: 9, lenQ: long, lenK: long}},
		{"size_32", attnData{heads: 2, kvHeads: 2, dim: 32, lenQ: tiles, lenK: tiles}},
		{"size_64", attnData{heads: 4, kvHeads: 2, dim: 64, lenQ: tiles, lenK: tiles}},
		{"size_64_first_row", attnData{heads: 2, kvHeads: 2, dim: 64, lenQ: ones, lenK: ragged}},
		{"size_128", attnData{heads: 2, kvHeads: 1, dim: 128, lenQ: []int{70, 1, 33, 9}, lenK: []int{33, 129, 70, 0}}},
		{"size_256", attnData{heads: 1, kvHeads: 1, dim: 256, lenQ: []int{17, 3}, lenK: []int{40, 1}}},
		{"empty", attnData{heads: 2, kvHeads: 2, dim: 4, lenQ: []int{0, 3, 0}, lenK: []int{0, 3, 0}}},
	} {
		for _, causal := range []bool{false, true} {
			for _, drop := range []compute.Dropout{none, someDropout(0.2)} {
				a := c.a
				a.causal, a.drop = causal, drop
				all = append(all, testCase{
					name: fmt.Sprintf("op=Attention/case=%s/causal=%t/drop=%v", c.name, causal, drop.P),
					run:  func(s *suite) { checkAttention(s, a) },
				})
			}
		}
	}
	return all
}

// options returns the options of the call.
func (a *attnData) options(s *suite) compute.AttnOpts {
	o := compute.AttnOpts{
		Heads: a.heads, KVHeads: a.kvHeads, HeadDim: a.dim,
		Causal: a.causal, Scale: a.scale, Dropout: a.drop,
	}
	cuQ, maxQ := cumulative(a.lenQ)
	cuK, maxK := cumulative(a.lenK)
	o.CuQ, o.CuK, o.MaxQ, o.MaxK = s.ints(cuQ), s.ints(cuK), maxQ, maxK
	return o
}

func checkAttention(s *suite, a attnData) {
	a.scale = float32(1.3 / math.Sqrt(float64(a.dim)))
	cuQ, _ := cumulative(a.lenQ)
	cuK, _ := cumulative(a.lenK)
	nq, nk := int(cuQ[len(cuQ)-1]), int(cuK[len(cuK)-1])
	wide, narrow := a.heads*a.dim, a.kvHeads*a.dim
	q, dq := s.working.random("q", nq, wide)
	k, dk := s.working.random("k", nk, narrow)
	v, dv := s.working.random("v", nk, narrow)
	dy, g := s.working.random("dy", nq, wide)
	a.q, a.k, a.v, a.dy = dq, dk, dv, g
	o := a.options(s)
	want, plain := attention[float64](&a, exact), attention[float32](&a, s.working.round)

	y, lse := s.working.output("y", nq, wide), s.exact.output("lse", nq, a.heads)
	s.dev.Attention(y.Tensor, lse.Tensor, q, k, v, o)
	s.near(y, want.y, plain.y, 1)
	s.near(lse, want.lse, plain.lse, 1)

	// The terms are products of three normal values. Their relative error is that of the probabilities exp(score -
	// lse), which grows with lse.
	size := 4.0
	for _, v := range want.lse {
		if !math.IsInf(v, 0) {
			size = max(size, math.Abs(v))
		}
	}
	size *= float64(a.scale) * root(a.dim)
	gq, gk, gv := s.working.output("dq", nq, wide), s.working.output("dk", nk, narrow), s.working.output("dv", nk, narrow)
	s.dev.AttentionGrad(compute.AttentionGradArgs{
		DQ: gq.Tensor, DK: gk.Tensor, DV: gv.Tensor, Q: q, K: k, V: v, Y: y.Tensor, LSE: lse.Tensor, DY: dy,
		AttnOpts: o,
	})
	s.near(gq, want.dq, plain.dq, size)
	s.near(gk, want.dk, plain.dk, size)
	s.near(gv, want.dv, plain.dv, 1)

	gk, gv = s.working.output("dk without dq", nk, narrow), s.working.output("dv without dq", nk, narrow)
	s.dev.AttentionGrad(compute.AttentionGradArgs{
		DK: gk.Tensor, DV: gv.Tensor, Q: q, K: k, V: v, Y: y.Tensor, LSE: lse.Tensor, DY: dy, AttnOpts: o,
	})
	s.near(gk, want.dk, plain.dk, size)
	s.near(gv, want.dv, plain.dv, 1)
}
