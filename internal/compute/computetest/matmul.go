package computetest

import (
	"fmt"
	"math"

	"github.com/lor2c/lor2c/internal/compute"
)

// product computes op(a) op(b). op(a) [m,k], op(b) [k,n].
func product[F float](a []float64, ta bool, b []float64, tb bool, m, n, k int) []F {
	x, y := in[F](a), in[F](b)
	if ta {
		x = transposed(x, k, m)
	}
	if !tb {
		y = transposed(y, k, n)
	}
	c := make([]F, m*n)
	for i := range m {
		for j := range n {
			var sum F
			for l := range k {
				sum += x[i*k+l] * y[j*k+l]
			}
			c[i*n+j] = sum
		}
	}
	return c
}

func transposed[F float](x []F, rows, cols int) []F {
	y := make([]F, len(x))
	for i := range rows {
		for j := range cols {
			y[j*rows+i] = x[i*cols+j]
		}
	}
	return y
}

// gemm computes start + alpha op(a) op(b); start may be nil.
func gemm[F float](start []float64, alpha float32, a []float64, ta bool, b []float64, tb bool, m, n, k int) []float64 {
	c := product[F](a, ta, b, tb, m, n, k)
	for i := range c {
		c[i] *= F(alpha)
		if start != nil {
			c[i] += F(start[i])
		}
	}
	return out(c)
}

// linear computes the values before and after the activation. The activation reads rounded values. bias may be nil.
func linear[F float](
	x, w, bias []float64, n, k, m int, act compute.Act, round func(float64) float64,
) (pre, dst []float64) {
	z := product[F](x, false, w, true, n, m, k)
	y := make([]F, len(z))
	for i := range z {
		if bias != nil {
			z[i] += F(bias[i%m])
		}
		if y[i] = z[i]; act != compute.Identity {
			y[i] = activation(act, F(round(float64(z[i]))))
		}
	}
	return out(z), out(y)
}

// root returns the magnitude of a sum of n products of normal values.
func root(terms int) float64 { return math.Sqrt(float64(terms)) }

func matmulCases() []testCase {
	var all []testCase
	sizes := [][3]int{
		{1, 1, 1}, {1, 3, 17}, {3, 1, 33}, {17, 33, 3}, {33, 257, 17}, {257, 33, 65},
		{3, 1025, 257}, {257, 8, 1025}, {8, 257, 1025}, {130, 200, 140},
	}
	for i, size := range sizes {
		m, n, k := size[0], size[1], size[2]
		for flags := range 8 {
			ta, tb, add := flags&1 != 0, flags&2 != 0, flags&4 != 0
			// Large products take long on kernels that run on the CPU. So each layout is tested either with or
			// without accumulation, alternating with the size.
			if m*n*k > 500_000 && (ta != tb) != (add == (i%2 == 0)) {
				continue
			}
			all = append(all, testCase{
				name: fmt.Sprintf("op=Gemm/m=%d/n=%d/k=%d/ta=%t/tb=%t/accumulate=%t", m, n, k, ta, tb, add),
				run: func(s *suite) {
					checkGemm(s, s.working, s.working, m, n, k, ta, tb, add)
					checkGemm(s, s.exact, s.working, m, n, k, ta, tb, add)
					checkGemm(s, s.exact, s.exact, m, n, k, ta, tb, add)
				},
			})
		}
	}
	for i, size := range sizes {
		a := activations[i%len(activations)]
		for flags := range 4 {
			bias, pre := flags&1 != 0, flags&2 != 0
			if pre && a.act == compute.Identity {
				continue
			}
			n, m, k := size[0], size[1], size[2]
			all = append(all, testCase{
				name: fmt.Sprintf("op=Linear/n=%d/k=%d/m=%d/act=%s/bias=%t/pre=%t", n, k, m, a.name, bias, pre),
				run:  func(s *suite) { checkLinear(s, n, k, m, a.act, bias, pre) },
			})
		}
	}
	return all
}

func checkGemm(s *suite, to, from kind, m, n, k int, ta, tb, add bool) {
	shape := func(t bool, i, j int) []int {
		if t {
			return []int{j, i}
		}
		return []int{i, j}
	}
	a, x := from.random("a", shape(ta, m, k)...)
	b, y := from.random("b", shape(tb, k, n)...)
	dst, start := to.output("dst", m, n), []float64(nil)
	if add {
		dst, start = to.adds("dst", m, n)
	}
	const alpha = -0.7
	s.dev.Gemm(dst.Tensor, alpha, a, ta, b, tb, add)
	s.near(dst, gemm[float64](start, alpha, x, ta, y, tb, m, n, k),
		gemm[float32](start, alpha, x, ta, y, tb, m, n, k), root(k))
}

func checkLinear(s *suite, n, k, m int, act compute.Act, withBias, withPre bool) {
	x, dx := s.working.random("x", n, k)
	w, dw := s.working.random("w", m, k)
	var bias compute.Tensor
	var db []float64
	if withBias {
		bias, db = s.working.random("bias", m)
	}
	wantPre, want := linear[float64](dx, dw, db, n, k, m, act, exact)
	plainPre, plain := linear[float32](dx, dw, db, n, k, m, act, s.working.round)
	dst := s.working.output("dst", n, m)
	if !withPre {
		s.dev.Linear(dst.Tensor, compute.Tensor{}, x, w, bias, act)
	} else {
		pre := s.working.output("pre", n, m)
		s.dev.Linear(dst.Tensor, pre.Tensor, x, w, bias, act)
		s.near(pre, wantPre, plainPre, root(k))
	}
	s.near(dst, want, plain, root(k))
}
