package computetest

import (
	"fmt"
	"math"
	"slices"

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
	// places is the P of compute.AttnOpts, and 0 without a bias, which has biasRows rows.
	places  int
	bias    []float64
	buckets []int32
}

// biasRows is the number of rows of a bias, of which the last has no bucket.
const biasRows = 11

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
type attnResult struct{ y, lse, dq, dk, dv, dbias []float64 }

// attention computes the result row by row, with each step rounded to F. Operands of products, and y for the
// gradient, are also rounded by round.
func attention[F float](a *attnData, round func(float64) float64) attnResult {
	q, k, v, dy := in[F](a.q), in[F](a.k), in[F](a.v), in[F](a.dy)
	y, dq := make([]F, len(q)), make([]F, len(q))
	dk, dv := make([]F, len(k)), make([]F, len(k))
	bias, dbias := in[F](a.bias), make([]F, len(a.bias))
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
				row.mul, row.bias, row.dbias = make([]F, seen), make([]F, seen), make([]F, seen)
				// Rows of the mask are counted from the start of the step, with one row per head.
				drop := a.drop
				drop.Row = 0
				for j, by := range multipliers(drop, (int(a.drop.Row)+n)*a.heads+h, seen) {
					row.mul[j] = F(by)
				}
				for j := 0; a.places > 0 && j < seen; j++ {
					row.bias[j] = bias[int(a.buckets[a.places-1+j-i])*a.heads+h]
				}
				lse[n*a.heads+h] = row.compute(y[at:at+a.dim], dq[at:at+a.dim])
				for j := 0; a.places > 0 && j < seen; j++ {
					dbias[int(a.buckets[a.places-1+j-i])*a.heads+h] += row.dbias[j]
				}
			}
		}
	}
	return attnResult{out(y), out(lse), out(dq), out(dk), out(dv), out(dbias)}
}

// attnRow is one query of one head. Key j begins at element j*stride.
type attnRow[F float] struct {
	dim, stride         int
	scale               F
	q, dy, k, v, dk, dv []F
	mul, bias, dbias    []F
	round               func(F) F
}

func dot[F float](x, y []F) F {
	var sum F
	for i := range x {
		sum += x[i] * y[i]
	}
	return sum
}

// compute fills y, dq and dbias, adds to dk and dv, and returns the row's lse.
func (r *attnRow[F]) compute(y, dq []F) F {
	keys := len(r.mul)
	scores, p, dp := make([]F, keys), make([]F, keys), make([]F, keys)
	top, sum := F(math.Inf(-1)), F(0)
	for j := range p {
		scores[j] = r.scale*dot(r.q, r.k[j*r.stride:j*r.stride+r.dim]) + r.bias[j]
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
		r.dbias[j] = p[j] * (dp[j] - delta)
		ds, kept := r.round(r.scale*r.dbias[j]), r.round(r.mul[j]*p[j])
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
		name   string
		a      attnData
		biased bool // the case is also run with a bias
	}{
		{"one", attnData{heads: 1, kvHeads: 1, dim: 1, lenQ: []int{1}, lenK: []int{1}}, true},
		{"ragged", attnData{heads: 3, kvHeads: 3, dim: 17, lenQ: ragged, lenK: ragged}, true},
		{"grouped", attnData{heads: 6, kvHeads: 2, dim: 8, lenQ: ragged, lenK: ragged}, false},
		{"multi_query", attnData{heads: 4, kvHeads: 1, dim: 3, lenQ: ragged, lenK: ragged}, false},
		{"first_row", attnData{heads: 3, kvHeads: 3, dim: 16, lenQ: ones, lenK: ragged}, true},
		{"more_keys", attnData{heads: 2, kvHeads: 2, dim: 8, lenQ: []int{3, 1, 0}, lenK: []int{9, 17, 3}}, true},
		{"more_queries", attnData{heads: 2, kvHeads: 2, dim: 8, lenQ: []int{9, 17, 3}, lenK: []int{3, 1, 0}}, true},
		{"long", attnData{heads: 2, kvHeads: 1, dim: 9, lenQ: long, lenK: long}, true},
		{"size_32", attnData{heads: 2, kvHeads: 2, dim: 32, lenQ: tiles, lenK: tiles}, true},
		{"size_64", attnData{heads: 4, kvHeads: 2, dim: 64, lenQ: tiles, lenK: tiles}, true},
		{"size_64_first_row", attnData{heads: 2, kvHeads: 2, dim: 64, lenQ: ones, lenK: ragged}, true},
		{"size_64_no_queries", attnData{heads: 2, kvHeads: 2, dim: 64, lenQ: []int{3, 0}, lenK: []int{9, 17}}, false},
		{"size_128", attnData{heads: 2, kvHeads: 1, dim: 128, lenQ: []int{70, 1, 33, 9}, lenK: []int{33, 129, 70, 0}}, true},
		{"size_256", attnData{heads: 1, kvHeads: 1, dim: 256, lenQ: []int{17, 3}, lenK: []int{40, 1}}, false},
		{"empty", attnData{heads: 2, kvHeads: 2, dim: 4, lenQ: []int{0, 3, 0}, lenK: []int{0, 3, 0}}, true},
	} {
		for _, causal := range []bool{false, true} {
			for _, drop := range []compute.Dropout{none, someDropout(0.2)} {
				a := c.a
				a.causal, a.drop = causal, drop
				all = append(all, testCase{
					name: fmt.Sprintf("op=Attention/case=%s/causal=%t/drop=%v", c.name, causal, drop.P),
					run:  func(s *suite) { checkAttention(s, a) },
				})
				// The forms of masks alternate, because attention takes long on kernels that run on the CPU.
				if c.biased && causal == (drop.P == 0) {
					_, longest := cumulative(append(slices.Clone(a.lenQ), a.lenK...))
					a.places, a.kvHeads = longest+3, a.heads
					all = append(all, testCase{
						name: fmt.Sprintf("op=Attention/case=%s/bias=true/causal=%t/drop=%v", c.name, causal, drop.P),
						run:  func(s *suite) { checkAttention(s, a) },
					})
				}
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
	if a.places > 0 {
		o.Buckets = s.ints(a.buckets)
	}
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
	var bias compute.Tensor
	if a.places > 0 {
		bias, a.bias = s.working.random("bias", biasRows, a.heads)
		a.buckets = s.below(2*a.places-1, biasRows-1)
	}
	o := a.options(s)
	o.Bias = bias
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

	if a.places > 0 {
		checkBiasGrad(s, want, plain, compute.AttentionGradArgs{
			DQ: gq.Tensor, DK: gk.Tensor, DV: gv.Tensor, Q: q, K: k, V: v, Y: y.Tensor, LSE: lse.Tensor, DY: dy, AttnOpts: o,
		})
	}

	gk, gv = s.working.output("dk without dq", nk, narrow), s.working.output("dv without dq", nk, narrow)
	s.dev.AttentionGrad(compute.AttentionGradArgs{
		DK: gk.Tensor, DV: gv.Tensor, Q: q, K: k, V: v, Y: y.Tensor, LSE: lse.Tensor, DY: dy, AttnOpts: o,
	})
	s.near(gk, want.dk, plain.dk, size)
	s.near(gv, want.dv, plain.dv, 1)
}

// checkBiasGrad checks that the gradient of a bias is added, and that the other gradients do not depend on whether it
// is computed.
func checkBiasGrad(s *suite, want, plain attnResult, o compute.AttentionGradArgs) {
	before := [][]float64{read(s, o.DQ), read(s, o.DK), read(s, o.DV)}
	total, start := s.exact.adds("dbias", biasRows, o.Heads)
	o.DBias = total.Tensor
	s.dev.AttentionGrad(o)
	sum := func(grad []float64) []float64 {
		both := slices.Clone(start)
		for i, g := range grad {
			both[i] += g
		}
		return both
	}
	// The terms have the errors of those of dq. There are as many as pairs of a query and a key. In a narrow type most of
	// the error comes from y, which the device rounds from other sums than the reference does. The largest errors of two
	// such roundings differ more, because there are few elements.
	pairs := float64(o.MaxQ) * float64(o.MaxK)
	yardstick := slices.Clone(plain.dbias)
	for i, w := range want.dbias {
		if s.cfg.Bits > 0 {
			yardstick[i] += 2 * (yardstick[i] - w)
		}
	}
	s.near(total, sum(want.dbias), sum(yardstick), 4*math.Sqrt(pairs))
	for i, x := range []compute.Tensor{o.DQ, o.DK, o.DV} {
		if !slices.Equal(read(s, x), before[i]) {
			s.Errorf("%s differs if the gradient of the bias is computed", []string{"dq", "dk", "dv"}[i])
		}
	}
}
