package computetest

import (
	"fmt"
	"math"

	"github.com/lor2c/lor2c/internal/compute"
)

// scaleData has the inputs of one ScaleCols, the gradient of its output, and the value that dv is added to. times and
// about are nil if they are absent.
type scaleData struct {
	n, c            int
	x, v, dy, start []float64
	times, about    []float64
}

// scaleCols computes the result and its gradients, with each step rounded to F.
func scaleCols[F float](d scaleData) (y, dx, dv []float64) {
	x, v, dy, sum := in[F](d.x), in[F](d.v), in[F](d.dy), make([]F, d.c)
	a, b, g := make([]F, d.n*d.c), make([]F, d.n*d.c), in[F](d.start)
	for i := range x {
		c := i % d.c
		times, about := F(1), F(0)
		if d.times != nil {
			times = F(d.times[c])
		}
		if d.about != nil {
			about = F(d.about[c])
		}
		a[i] = about + (x[i]-about)*(v[c]*times)
		b[i] = dy[i] * (v[c] * times)
		sum[c] += dy[i] * times * (x[i] - about)
	}
	for c := range g {
		g[c] += sum[c]
	}
	return out(a), out(b), out(g)
}

func scaleCases() []testCase {
	var all []testCase
	for _, size := range [][2]int{{1, 1}, {3, 17}, {33, 3}, {257, 33}, {2100, 8}, {65, 264}, {3, 1025}} {
		for options := range 4 {
			all = append(all, testCase{
				name: fmt.Sprintf("op=ScaleCols/n=%d/c=%d/options=%d", size[0], size[1], options),
				run: func(s *suite) {
					checkScale(s, s.working, size[0], size[1], options)
					checkScale(s, s.exact, size[0], size[1], options)
				},
			})
		}
	}
	return all
}

// checkScale scales rows of one of the two types. The lowest bit of options
// says whether times is present, the next bit whether about is.
func checkScale(s *suite, k kind, n, c, options int) {
	d := scaleData{n: n, c: c}
	var o compute.ScaleOpts
	var x, v, dy compute.Tensor
	x, d.x = k.random("x", n, c)
	v, d.v = s.working.random("v", c)
	dy, d.dy = k.random("dy", n, c)
	if options&1 != 0 {
		o.Times, d.times = s.exact.random("times", c)
	}
	if options&2 != 0 {
		o.About, d.about = s.working.random("about", c)
	}
	dv, start := s.exact.adds("dv", c)
	d.start = start
	want, wantX, wantV := scaleCols[float64](d)
	plain, plainX, plainV := scaleCols[float32](d)

	dst, inPlace := k.output("dst", n, c), k.inout("dst=x", d.x, n, c)
	s.dev.ScaleCols(dst.Tensor, x, v, o)
	s.near(dst, want, plain, 1)
	s.dev.ScaleCols(inPlace.Tensor, inPlace.Tensor, v, o)
	s.near(inPlace, want, plain, 1)

	var none compute.Tensor
	dx := k.output("dx", n, c)
	s.dev.ScaleColsGrad(dx.Tensor, dv.Tensor, x, v, dy, o)
	s.near(dx, wantX, plainX, 0)
	s.near(dv, wantV, plainV, root(n))
	alone := k.inout("dx=dy", d.dy, n, c)
	s.dev.ScaleColsGrad(alone.Tensor, none, none, v, alone.Tensor, o)
	s.near(alone, wantX, plainX, 0)
	dv = s.exact.inout("dv alone", start, c)
	s.dev.ScaleColsGrad(none, dv.Tensor, x, v, dy, o)
	s.near(dv, wantV, plainV, root(n))
}

func differenceScale(s *suite) {
	const n, c = 5, 7
	x, v, y := s.variable(s.working, "x", n, c), s.variable(s.exact, "v", c), s.working.output("y", n, c)
	var o compute.ScaleOpts
	o.Times, _ = s.exact.random("times", c)
	o.About, _ = s.working.random("about", c)
	dy, total := s.objective(y)
	s.dev.ScaleColsGrad(x.grad.Tensor, v.grad.Tensor, x.Tensor, v.Tensor, dy, o)
	forward := func() float64 {
		s.dev.ScaleCols(y.Tensor, x.Tensor, v.Tensor, o)
		return total()
	}
	s.difference(x, forward)
	s.difference(v, forward)
}

// invNorm computes the reciprocal of the norm of each row of w + scale B A, with each step rounded to F.
func invNorm[F float](l *lowRankData, w []float64) []float64 {
	v := in[F](gemm[F](w, l.scale, l.u, false, l.w, false, l.n, l.k, l.r))
	y := make([]F, l.n)
	for m := range y {
		var square F
		for _, x := range v[m*l.k : (m+1)*l.k] {
			square += x * x
		}
		if square != 0 {
			y[m] = 1 / F(math.Sqrt(float64(square)))
		}
	}
	return out(y)
}

func invNormCases() []testCase {
	var all []testCase
	for _, size := range [][3]int{{1, 1, 1}, {3, 17, 2}, {33, 264, 8}, {70, 33, 19}, {5, 1025, 4}} {
		all = append(all, testCase{
			name: fmt.Sprintf("op=LowRankInvNorm/m=%d/k=%d/r=%d", size[0], size[1], size[2]),
			run: func(s *suite) {
				l := lowRankData{n: size[0], k: size[1], r: size[2], scale: 1.75}
				w := s.working.normal(l.n*l.k, 1)
				var a, b compute.Tensor
				a, l.w = s.working.random("a", l.r, l.k)
				l.u = s.working.normal(l.n*l.r, 1)
				if l.n > 1 { // the last row is zero
					clear(w[(l.n-1)*l.k:])
					clear(l.u[(l.n-1)*l.r:])
				}
				b = s.working.input("b", l.u, l.n, l.r)
				dst := s.exact.output("dst", l.n)
				s.dev.LowRankInvNorm(dst.Tensor, s.working.input("w", w, l.n, l.k), a, b, l.scale)
				s.near(dst, invNorm[float64](&l, w), invNorm[float32](&l, w), 0)
			},
		})
	}
	return all
}
