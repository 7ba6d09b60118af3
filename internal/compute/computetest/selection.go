package computetest

import (
	"fmt"
	"math"
	"slices"

	"github.com/lor2c/lor2c/internal/compute"
)

func selectionCases() []testCase {
	var all []testCase
	for _, c := range []int{1, 3, 17, 257, 1025, 1032} {
		all = append(all,
			testCase{name: fmt.Sprintf("op=Gather/c=%d", c), run: func(s *suite) {
				checkGather(s, s.working, 33, c)
				checkGather(s, s.exact, 33, c)
			}},
			testCase{name: fmt.Sprintf("op=Scatter/c=%d", c), run: func(s *suite) {
				checkScatter(s, s.working, 33, c)
				checkScatter(s, s.exact, 33, c)
			}},
			testCase{name: fmt.Sprintf("op=Put/c=%d", c), run: func(s *suite) {
				checkPut(s, s.working, 33, c)
				checkPut(s, s.exact, 33, c)
			}},
			testCase{name: fmt.Sprintf("op=ArgMax/c=%d", c), run: func(s *suite) { checkArgMax(s, c) }},
			testCase{name: fmt.Sprintf("op=Embed/c=%d", c), run: func(s *suite) { checkEmbed(s, 65, c) }},
			testCase{name: fmt.Sprintf("op=EmbedGrad/c=%d", c), run: func(s *suite) { checkEmbedGrad(s, 65, c) }},
		)
	}
	return all
}

// rows returns the rows idx of x, which has c columns.
func rows(x []float64, idx []int32, c int) []float64 {
	var y []float64
	for _, i := range idx {
		y = append(y, x[int(i)*c:(int(i)+1)*c]...)
	}
	return y
}

// addRows adds row n of x to row idx[n] of a copy of start, in the order of n, and rounds each sum.
func addRows[F float](start []float64, idx []int32, x []float64, c int, round func(float64) float64) []float64 {
	y := in[F](start)
	for n, i := range idx {
		for j := range c {
			at := int(i)*c + j
			y[at] = F(round(float64(y[at] + F(x[n*c+j]))))
		}
	}
	return out(y)
}

func checkGather(s *suite, k kind, n, c int) {
	x, data := k.random("x", n, c)
	idx := s.below(17, n)
	idx[0], idx[1] = int32(n-1), int32(n-1)
	dst := k.output("dst", len(idx), c)
	s.dev.Gather(dst.Tensor, x, s.ints(idx))
	s.same(dst, rows(data, idx, c))
}

func checkScatter(s *suite, k kind, n, c int) {
	idx := s.below(65, n)
	idx[0] = int32(n - 1)
	x, data := k.random("x", len(idx), c)
	dst, start := k.adds("dst", n, c)
	s.dev.Scatter(dst.Tensor, s.ints(idx), x)
	plain := addRows[float32](start, idx, data, c, k.round)
	s.near(dst, addRows[float64](start, idx, data, c, exact), plain, 1)
	if !s.cfg.double() && s.cfg.Bits == 0 {
		// The order of additions is part of the contract, so the result is exact.
		s.same(dst, plain)
	}
}

func checkPut(s *suite, k kind, n, c int) {
	var idx []int32
	for _, i := range s.rng.Perm(n)[:n/2] {
		idx = append(idx, int32(i))
	}
	x, data := k.random("x", len(idx), c)
	dst, want := k.adds("dst", n, c)
	s.dev.Put(dst.Tensor, s.ints(idx), x)
	for i, to := range idx {
		copy(want[int(to)*c:(int(to)+1)*c], data[i*c:(i+1)*c])
	}
	s.same(dst, want)
}

// checkArgMax has rows of random values, of equal ones, of infinities, with several largest, and with a NaN.
func checkArgMax(s *suite, c int) {
	const n = 12
	x := s.working.normal(n*c, 1)
	row := func(i int) []float64 { return x[i*c : (i+1)*c] }
	for i := range c {
		row(0)[i] = 3
		row(1)[i] = math.Inf(-1)
	}
	for range 3 {
		row(2)[s.rng.IntN(c)] = 50
	}
	row(3)[c-1] = math.Inf(1)
	row(4)[s.rng.IntN(c)] = math.NaN()
	row(5)[c-1] = math.NaN()
	row(6)[0] = 50
	row(7)[c/2] = 50
	want := make([]float64, n)
	for i := range want {
		want[i] = float64(slices.Index(row(i), slices.Max(row(i)))) // the maximum with a NaN is NaN, which is not found
	}
	dst := s.exact.output("dst", n)
	s.dev.ArgMax(dst.Tensor, s.working.input("x", x, n, c))
	s.same(dst, want)
}

func checkEmbed(s *suite, n, c int) {
	word, w := s.working.random("word", 50, c)
	position, p := s.working.random("position", 40, c)
	tokenType, k := s.working.random("token type", 2, c)
	ids, pos, types := s.below(n, 50), s.below(n, 40), s.below(n, 2)
	ids[0], pos[0], types[0] = 49, 39, 1
	dst := s.working.output("dst", n, c)
	s.dev.Embed(dst.Tensor, s.ints(ids), s.ints(pos), s.ints(types), word, position, tokenType)
	want, plain := make([]float64, n*c), make([]float64, n*c)
	rw, rp, rk := rows(w, ids, c), rows(p, pos, c), rows(k, types, c)
	for i := range want {
		want[i] = rw[i] + rp[i] + rk[i]
		plain[i] = float64(float32(rw[i]) + float32(rp[i]) + float32(rk[i]))
	}
	s.near(dst, want, plain, 1)
	for i := range want {
		want[i] = rw[i] + rp[i]
		plain[i] = float64(float32(rw[i]) + float32(rp[i]))
	}
	without := s.working.output("dst without token types", n, c)
	s.dev.Embed(without.Tensor, s.ints(ids), s.ints(pos), compute.Tensor{}, word, position, compute.Tensor{})
	s.near(without, want, plain, 1)
	alone := s.working.output("dst of words alone", n, c)
	s.dev.Embed(alone.Tensor, s.ints(ids), compute.Tensor{}, compute.Tensor{}, word, compute.Tensor{}, compute.Tensor{})
	s.same(alone, rw)
}

func checkEmbedGrad(s *suite, n, c int) {
	ids, pos, types := s.below(n, 50), s.below(n, 40), s.below(n, 2)
	tids, tpos, ttypes := s.ints(ids), s.ints(pos), s.ints(types)
	dy, g := s.working.random("dy", n, c)
	for absent := range 4 {
		word, w := s.exact.adds("dword", 50, c)
		position, p := s.exact.adds("dposition", 40, c)
		tokenType, k := s.exact.adds("dtokenType", 2, c)
		tables := []compute.Tensor{word.Tensor, position.Tensor, tokenType.Tensor}
		if absent < 3 {
			tables[absent] = compute.Tensor{}
		}
		s.dev.EmbedGrad(tables[0], tables[1], tables[2], tids, tpos, ttypes, dy)
		for i, t := range []struct {
			b     *band
			start []float64
			idx   []int32
		}{{word, w, ids}, {position, p, pos}, {tokenType, k, types}} {
			if i == absent {
				t.idx = nil
			}
			s.near(t.b, addRows[float64](t.start, t.idx, g, c, exact), addRows[float32](t.start, t.idx, g, c, exact), 1)
		}
	}
}
