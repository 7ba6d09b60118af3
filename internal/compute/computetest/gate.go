package computetest

import (
	"fmt"
	"math"

	"github.com/lor2c/lor2c/internal/compute"
)

// softmax computes the softmax of each row of cols elements, and the gradient of its input, with each step rounded
// to F.
func softmax[F float](x, dy []float64, cols int) (y, dx []float64) {
	a, g, p, d := in[F](x), in[F](dy), make([]F, len(x)), make([]F, len(x))
	for i := 0; i < len(a); i += cols {
		top, sum, mean := a[i], F(0), F(0)
		for _, v := range a[i : i+cols] {
			top = max(top, v)
		}
		for c := i; c < i+cols; c++ {
			p[c] = F(math.Exp(float64(a[c] - top)))
			sum += p[c]
		}
		for c := i; c < i+cols; c++ {
			p[c] /= sum
			mean += p[c] * g[c]
		}
		for c := i; c < i+cols; c++ {
			d[c] = p[c] * (g[c] - mean)
		}
	}
	return out(p), out(d)
}

// gateData has the inputs of one Gate and the gradient of its output. u has r or e*r columns.
type gateData struct {
	n, e, r, cols int
	w, u, dy      []float64
}

// gate computes the result and its gradients, with each step rounded to F.
func gate[F float](g gateData) (z, dw, du []float64) {
	w, u, dy := in[F](g.w), in[F](g.u), in[F](g.dy)
	a, b, d := make([]F, len(dy)), make([]F, len(w)), make([]F, len(u))
	for i := range dy {
		row, e, k := i/(g.e*g.r), i/g.r%g.e, i%g.r
		at := row*g.cols + k
		if g.cols != g.r {
			at += e * g.r
		}
		a[i] = w[row*g.e+e] * u[at]
		b[row*g.e+e] += dy[i] * u[at]
		d[at] += dy[i] * w[row*g.e+e]
	}
	return out(a), out(b), out(d)
}

func gateCases() []testCase {
	var all []testCase
	for _, size := range [][2]int{{1, 1}, {3, 17}, {257, 3}, {33, 65}} {
		// Magnitudes at which the weights are alike, differ, and are 0 or 1.
		for _, std := range []float64{1e-3, 1, 100} {
			all = append(all, testCase{
				name: fmt.Sprintf("op=Softmax/n=%d/e=%d/std=%g", size[0], size[1], std),
				run:  func(s *suite) { checkSoftmax(s, size[0], size[1], std) },
			})
		}
	}
	for _, size := range [][3]int{{1, 1, 1}, {3, 4, 8}, {257, 3, 5}, {33, 8, 1}, {65, 1, 7}} {
		for _, shared := range []bool{false, true} {
			all = append(all, testCase{
				name: fmt.Sprintf("op=Gate/n=%d/e=%d/r=%d/shared=%t", size[0], size[1], size[2], shared),
				run:  func(s *suite) { checkGate(s, size[0], size[1], size[2], shared) },
			})
		}
	}
	return all
}

func checkSoftmax(s *suite, n, e int, std float64) {
	data := s.exact.normal(n*e, std)
	dy, g := s.exact.random("dy", n, e)
	want, wantX := softmax[float64](data, g, e)
	plain, plainX := softmax[float32](data, g, e)
	dst, inPlace := s.exact.output("dst", n, e), s.exact.inout("dst=x", data, n, e)
	s.dev.Softmax(dst.Tensor, s.exact.input("x", data, n, e))
	s.near(dst, want, plain, 0)
	s.dev.Softmax(inPlace.Tensor, inPlace.Tensor)
	s.near(inPlace, want, plain, 0)
	dx, alone := s.exact.output("dx", n, e), s.exact.inout("dx=dy", g, n, e)
	s.dev.SoftmaxGrad(dx.Tensor, dst.Tensor, dy)
	s.near(dx, wantX, plainX, 1)
	s.dev.SoftmaxGrad(alone.Tensor, dst.Tensor, alone.Tensor)
	s.near(alone, wantX, plainX, 1)
}

func checkGate(s *suite, n, e, r int, shared bool) {
	d := gateData{n: n, e: e, r: r, cols: e * r}
	if shared {
		d.cols = r
	}
	var w, u, dy, none compute.Tensor
	w, d.w = s.exact.random("w", n, e)
	u, d.u = s.exact.random("u", n, d.cols)
	dy, d.dy = s.exact.random("dy", n, e*r)
	want, wantW, wantU := gate[float64](d)
	plain, plainW, plainU := gate[float32](d)
	dst := s.exact.output("dst", n, e*r)
	s.dev.Gate(dst.Tensor, w, u)
	s.near(dst, want, plain, 0)
	for absent := range 3 {
		gw, gu := s.exact.output("dw", n, e), s.exact.output("du", n, d.cols)
		dw, du := gw.Tensor, gu.Tensor
		switch absent {
		case 1:
			dw = none
		case 2:
			du = none
		}
		s.dev.GateGrad(dw, du, w, u, dy)
		if dw.Present() {
			s.near(gw, wantW, plainW, root(r))
		}
		if du.Present() {
			s.near(gu, wantU, plainU, root(e))
		}
	}
}

// differenceGate differentiates weights and ranks through Softmax and Gate.
func differenceGate(s *suite) {
	const n, e, r = 3, 4, 2
	x, u := s.variable(s.exact, "x", n, e), s.variable(s.exact, "u", n, r)
	w, z := s.exact.output("w", n, e), s.exact.output("z", n, e*r)
	dz, weights := s.exact.random("dz", n, e*r)
	forward := func() float64 {
		s.dev.Softmax(w.Tensor, x.Tensor)
		s.dev.Gate(z.Tensor, w.Tensor, u.Tensor)
		sum := 0.0
		for i, v := range z.read(s) {
			sum += weights[i] * v
		}
		return sum
	}
	forward()
	s.dev.GateGrad(x.grad.Tensor, u.grad.Tensor, w.Tensor, u.Tensor, dz)
	s.dev.SoftmaxGrad(x.grad.Tensor, w.Tensor, x.grad.Tensor)
	s.difference(x, forward)
	s.difference(u, forward)
}
