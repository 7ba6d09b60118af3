package computetest

import (
	"fmt"
	"math"
)

// turn rotates the pairs of every head, with each product rounded to F. Angles are float64 in both precisions,
// because the method does not round them.
func turn[F float](x []float64, pos []int32, cols, dim int, base, sign float64) []float64 {
	y := in[F](x)
	for n, p := range pos {
		for i := range dim / 2 {
			sin, cos := math.Sincos(sign * float64(p) * math.Pow(base, -2*float64(i)/float64(dim)))
			for at := n*cols + i; at < (n+1)*cols; at += dim {
				a, b := y[at], y[at+dim/2]
				y[at], y[at+dim/2] = a*F(cos)-b*F(sin), b*F(cos)+a*F(sin)
			}
		}
	}
	return out(y)
}

func ropeCases() []testCase {
	var all []testCase
	for _, c := range []struct{ n, heads, dim int }{
		{1, 1, 2}, {17, 3, 6}, {33, 2, 16}, {17, 3, 40}, {5, 3, 64}, {3, 32, 128}, {3, 2, 300}, {2, 1, 528},
	} {
		for _, base := range []float64{1e4, 5e5} {
			all = append(all, testCase{
				name: fmt.Sprintf("op=RoPE/n=%d/heads=%d/dim=%d/base=%g", c.n, c.heads, c.dim, base),
				run:  func(s *suite) { checkRoPE(s, c.n, c.heads, c.dim, base) },
			})
		}
	}
	return all
}

func checkRoPE(s *suite, n, heads, dim int, base float64) {
	cols := heads * dim
	pos := s.below(n, 1<<20)
	// Small positions are usual. The first position of a sequence is not rotated.
	for i := range pos {
		if i%3 != 0 {
			pos[i] %= 100
		}
	}
	pos[n/2] = 0
	at := s.ints(pos)
	data := s.working.normal(n*cols, 1)
	forth, back := s.working.inout("x", data, n, cols), s.working.inout("x back", data, n, cols)
	s.dev.RoPE(forth.Tensor, at, dim, base, false)
	s.near(forth, turn[float64](data, pos, cols, dim, base, 1), turn[float32](data, pos, cols, dim, base, 1), 1)
	s.dev.RoPE(back.Tensor, at, dim, base, true)
	s.near(back, turn[float64](data, pos, cols, dim, base, -1), turn[float32](data, pos, cols, dim, base, -1), 1)
}
