package computetest

import (
	"fmt"
	"math"

	"github.com/lor2c/lor2c/internal/compute"
)

// blockCases are the cases of attention over keys and values in the blocks of a table.
func blockCases() []testCase {
	var all []testCase
	for _, c := range []struct {
		name string
		a    attnData
	}{
		{"one", attnData{heads: 1, kvHeads: 1, dim: 3, lenQ: []int{1}, lenK: []int{1}}},
		{"decode", attnData{heads: 6, kvHeads: 2, dim: 10, lenQ: []int{1, 1, 1, 1}, lenK: []int{64, 1, 65, 200}}},
		{"prefill", attnData{heads: 2, kvHeads: 1, dim: 8, lenQ: []int{70, 3, 1, 129}, lenK: []int{70, 131, 64, 130}}},
		{"size_32", attnData{heads: 2, kvHeads: 2, dim: 32, lenQ: []int{1, 66, 9}, lenK: []int{97, 66, 128}}},
		{"size_64", attnData{heads: 4, kvHeads: 2, dim: 64, lenQ: []int{1, 66, 9}, lenK: []int{97, 66, 128}}},
		{"size_128", attnData{heads: 2, kvHeads: 1, dim: 128, lenQ: []int{5, 1}, lenK: []int{70, 193}}},
	} {
		c.a.causal = true
		all = append(all, testCase{
			name: fmt.Sprintf("op=Attention/case=blocks_%s", c.name), run: func(s *suite) { checkBlocks(s, c.a) },
		})
	}
	return all
}

// checkBlocks compares attention over blocks in a random order with attention over the same keys in a row. The second
// sequence begins with the first block of the first, if that is full. Rows without a key are NaN.
func checkBlocks(s *suite, a attnData) {
	const size = compute.BlockRows
	a.scale = float32(1.3 / math.Sqrt(float64(a.dim)))
	cuQ, maxQ := cumulative(a.lenQ)
	cuK, maxK := cumulative(a.lenK)
	wide, narrow := a.heads*a.dim, a.kvHeads*a.dim
	width := (maxK+size-1)/size + 1
	free := s.rng.Perm(len(a.lenK)*width + 2)
	nan := make([]float64, len(free)*size*narrow)
	for i := range nan {
		nan[i] = math.NaN()
	}
	k, v := nan, append([]float64(nil), nan...)
	table := make([]int32, len(a.lenK)*width)
	for i := range table {
		table[i] = int32(len(free)) // outside, beyond the last block of a sequence
	}
	for sequence, n := range a.lenK {
		for j := range n {
			at := &table[sequence*width+j/size]
			shares := sequence == 1 && j < size && n >= size && a.lenK[0] >= size
			if j%size == 0 {
				if *at = int32(free[0]); shares {
					*at = table[0]
				} else {
					free = free[1:]
				}
			}
			first := (int(*at)*size + j%size) * narrow
			if !shares {
				copy(k[first:first+narrow], s.working.normal(narrow, 1))
				copy(v[first:first+narrow], s.working.normal(narrow, 1))
			}
			a.k, a.v = append(a.k, k[first:first+narrow]...), append(a.v, v[first:first+narrow]...)
		}
	}
	rows := len(k) / narrow
	q, dq := s.working.random("q", int(cuQ[len(a.lenQ)]), wide)
	a.q, a.dy = dq, make([]float64, len(dq))
	o := compute.AttnOpts{
		Heads: a.heads, KVHeads: a.kvHeads, HeadDim: a.dim, CuQ: s.ints(cuQ), CuK: s.ints(cuK), MaxQ: maxQ, MaxK: maxK,
		Table: s.ints(table).Slice(0, compute.Shape{len(a.lenK), width}), Causal: true, Scale: a.scale,
	}
	want, plain := attention[float64](&a, exact), attention[float32](&a, s.working.round)
	y, lse := s.working.output("y", len(dq)/wide, wide), s.exact.output("lse", len(dq)/wide, a.heads)
	kp, vp := s.working.input("k", k, rows, narrow), s.working.input("v", v, rows, narrow)
	s.dev.Attention(y.Tensor, lse.Tensor, q, kp, vp, o)
	s.near(y, want.y, plain.y, 1)
	s.near(lse, want.lse, plain.lse, 1)
}
