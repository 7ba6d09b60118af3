package computetest

import (
	"fmt"
	"math"

	"github.com/lor2c/lor2c/internal/compute"
)

// turn rotates the pairs of every head by the angles of a table, with each product rounded to F.
func turn[F float](x []float64, pos []int32, table []float64, cols, dim int, sign float64) []float64 {
	y, angles := in[F](x), in[F](table)
	for n, p := range pos {
		for i := range dim / 2 {
			cos, sin := angles[int(p)*dim+i], F(sign)*angles[int(p)*dim+dim/2+i]
			for at := n*cols + i; at < (n+1)*cols; at += dim {
				a, b := y[at], y[at+dim/2]
				y[at], y[at+dim/2] = a*cos-b*sin, b*cos+a*sin
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
		all = append(all, testCase{
			name: fmt.Sprintf("op=RoPE/n=%d/heads=%d/dim=%d", c.n, c.heads, c.dim),
			run:  func(s *suite) { checkRoPE(s, c.n, c.heads, c.dim) },
		})
	}
	return all
}

// angles returns a table of cosines and sines [positions, dim] and uploads it.
func (s *suite) angles(positions, dim int) compute.Tensor {
	t, _ := s.angleTable(positions, dim)
	return t
}

func (s *suite) angleTable(positions, dim int) (compute.Tensor, []float64) {
	table := make([]float64, positions*dim)
	for n := range positions {
		for i := range dim / 2 {
			sin, cos := math.Sincos(float64(n) * math.Pow(1e4, -2*float64(i)/float64(dim)))
			table[n*dim+i], table[n*dim+dim/2+i] = float64(float32(cos)), float64(float32(sin))
		}
	}
	return s.exact.input("table", table, positions, dim), table
}

func checkRoPE(s *suite, n, heads, dim int) {
	cols := heads * dim
	pos := s.below(n, 100)
	pos[n/2], pos[n-1] = 0, 99
	at := s.ints(pos)
	// No position names the last row, which a device must not need.
	on, table := s.angleTable(101, dim)
	data := s.working.normal(n*cols, 1)
	forth, back := s.working.inout("x", data, n, cols), s.working.inout("x back", data, n, cols)
	s.dev.RoPE(forth.Tensor, at, on, false)
	s.near(forth, turn[float64](data, pos, table, cols, dim, 1), turn[float32](data, pos, table, cols, dim, 1), 1)
	s.dev.RoPE(back.Tensor, at, on, true)
	s.near(back, turn[float64](data, pos, table, cols, dim, -1), turn[float32](data, pos, table, cols, dim, -1), 1)
}
