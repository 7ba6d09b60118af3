package computetest

import (
	"fmt"
	"math"

	"github.com/lor2c/lor2c/internal/compute"
)

// logSoftmax computes the logarithm of the softmax of each row, with each step rounded to F.
func logSoftmax[F float](x []float64, cols int) []F {
	y := in[F](x)
	for i := 0; i < len(y); i += cols {
		row, top, sum := y[i:i+cols], y[i], F(0)
		for _, v := range row {
			top = max(top, v)
		}
		for c := range row {
			row[c] -= top
			sum += F(math.Exp(float64(row[c])))
		}
		for c := range row {
			row[c] -= F(math.Log(float64(sum)))
		}
	}
	return y
}

// symmetricKL computes loss and gradients, with each step rounded to F.
func symmetricKL[F float](
	start float64, x, z []float64, cols int, scale float32, detach bool,
) (loss, dx, dz []float64) {
	a, b := logSoftmax[F](x, cols), logSoftmax[F](z, cols)
	ga, gb, total := make([]F, len(a)), make([]F, len(a)), F(0)
	for i := 0; i < len(a); i += cols {
		var pl, ql F
		for c := i; c < i+cols; c++ {
			pl += F(math.Exp(float64(a[c]))) * (a[c] - b[c])
			ql += F(math.Exp(float64(b[c]))) * (b[c] - a[c])
		}
		total += pl + ql
		for c := i; c < i+cols; c++ {
			p, q := F(math.Exp(float64(a[c]))), F(math.Exp(float64(b[c])))
			ga[c], gb[c] = p-q, q-p
			if !detach {
				ga[c] += p * (a[c] - b[c] - pl)
				gb[c] += q * (b[c] - a[c] - ql)
			}
			ga[c] *= F(scale) / 2
			gb[c] *= F(scale) / 2
		}
	}
	return []float64{float64(F(start) + F(scale)/2*total)}, out(ga), out(gb)
}

// balance computes loss and gradient, with each step rounded to F.
func balance[F float](start float64, q, f []float64, scale float32) (loss, dq []float64) {
	z, by, g := in[F](q), in[F](f), make([]F, len(q))
	n := F(len(z))
	if n < 2 {
		return []float64{start}, out(g)
	}
	var mean, spread F
	for i := range z {
		z[i] *= by[i]
		mean += z[i] / n
	}
	for _, v := range z {
		spread += (v - mean) * (v - mean) / (n - 1)
	}
	below := mean*mean + 1e-10
	for i, v := range z {
		g[i] = F(scale) * by[i] * (2*(v-mean)/((n-1)*below) - 2*mean*spread/(n*below*below))
	}
	return []float64{float64(F(start) + F(scale)*spread/below)}, out(g)
}

// orthogonality computes loss and gradient, with each step rounded to F.
func orthogonality[F float](start float64, c []float64, r int, scale float32) (loss, dc []float64) {
	x, square := in[F](c), F(0)
	for i := range x {
		if i%(r+1) == 0 {
			x[i]--
		}
		square += x[i] * x[i]
	}
	norm := F(math.Sqrt(float64(square)))
	for i := range x {
		if norm != 0 {
			x[i] *= F(scale) / norm
		}
	}
	return []float64{float64(F(start) + F(scale)*norm)}, out(x)
}

func penaltyCases() []testCase {
	all := []testCase{
		{name: "op=SymmetricKL/golden=adamix", run: goldenKL},
		{name: "op=Balance/golden=loramoe", run: goldenBalance},
	}
	for _, size := range [][2]int{{1, 2}, {3, 17}, {33, 3}, {5, 1025}} {
		for _, std := range []float64{0.01, 1, 30} {
			for _, detach := range []bool{false, true} {
				all = append(all, testCase{
					name: fmt.Sprintf("op=SymmetricKL/n=%d/c=%d/std=%g/detach=%t", size[0], size[1], std, detach),
					run:  func(s *suite) { checkKL(s, size[0], size[1], std, detach) },
				})
			}
		}
	}
	for _, size := range [][2]int{{1, 1}, {1, 2}, {3, 4}, {65, 8}} {
		all = append(all, testCase{
			name: fmt.Sprintf("op=Balance/b=%d/e=%d", size[0], size[1]),
			run:  func(s *suite) { checkBalance(s, size[0], size[1]) },
		})
	}
	for _, r := range []int{1, 3, 8, 33} {
		all = append(all,
			testCase{name: fmt.Sprintf("op=Orthogonality/r=%d", r), run: func(s *suite) { checkOrthogonality(s, r) }})
	}
	return all
}

func checkKL(s *suite, n, c int, std float64, detach bool) {
	const scale = 0.375
	data, other := s.working.normal(n*c, std), s.working.normal(n*c, std)
	x, z := s.working.input("x", data, n, c), s.working.input("z", other, n, c)
	want, wantX, wantZ := symmetricKL[float64](0.5, data, other, c, scale, detach)
	plain, plainX, plainZ := symmetricKL[float32](0.5, data, other, c, scale, detach)
	size := max(std, scale/2) // of the terms of a gradient: a difference of logits, or of two probabilities
	for absent := range 3 {
		loss := s.exact.inout("loss", []float64{0.5}, 1)
		gx, gz := s.working.output("dx", n, c), s.working.output("dz", n, c)
		dx, dz := gx.Tensor, gz.Tensor
		switch absent {
		case 1:
			dx = compute.Tensor{}
		case 2:
			dz = compute.Tensor{}
		}
		s.dev.SymmetricKL(loss.Tensor, dx, dz, x, z, scale, detach)
		s.near(loss, want, plain, std*float64(n))
		if dx.Present() {
			s.near(gx, wantX, plainX, size)
		}
		if dz.Present() {
			s.near(gz, wantZ, plainZ, size)
		}
	}
}

func checkBalance(s *suite, b, e int) {
	q, data := s.exact.random("q", b, e)
	f := s.exact.normal(b*e, 0.1)
	for i := range f {
		f[i] = float64(float32(f[i] + 1))
	}
	factors := s.exact.input("f", f, b, e)
	want, wantQ := balance[float64](0.5, data, f, 0.25)
	plain, plainQ := balance[float32](0.5, data, f, 0.25)
	loss, dq := s.exact.inout("loss", []float64{0.5}, 1), s.exact.output("dq", b, e)
	s.dev.Balance(loss.Tensor, dq.Tensor, q, factors, 0.25)
	s.near(loss, want, plain, 0)
	s.near(dq, wantQ, plainQ, 0)
	loss = s.exact.inout("loss alone", []float64{0.5}, 1)
	s.dev.Balance(loss.Tensor, compute.Tensor{}, q, factors, 0.25)
	s.near(loss, want, plain, 0)
}

func checkOrthogonality(s *suite, r int) {
	data := s.exact.normal(r*r, 1)
	c, loss := s.exact.inout("c", data, r, r), s.exact.inout("loss", []float64{0.5}, 1)
	want, wantC := orthogonality[float64](0.5, data, r, 0.25)
	plain, plainC := orthogonality[float32](0.5, data, r, 0.25)
	s.dev.Orthogonality(loss.Tensor, c.Tensor, 0.25)
	s.near(loss, want, plain, 0)
	s.near(c, wantC, plainC, 0)
	identity := make([]float64, r*r)
	for i := range r {
		identity[i*(r+1)] = 1
	}
	c, loss = s.exact.inout("I", identity, r, r), s.exact.inout("loss of I", []float64{0.5}, 1)
	s.dev.Orthogonality(loss.Tensor, c.Tensor, 0.25)
	s.same(c, make([]float64, r*r))
	s.same(loss, []float64{0.5})
}

// close checks that b has values that PyTorch computed in float64 and that were written down with six digits.
func (s *suite) close(b *band, want ...float64) {
	s.Helper()
	for i, got := range b.read(s) {
		if !(math.Abs(got-want[i]) <= 1e-6+s.cfg.unit()*math.Abs(want[i])) {
			s.Errorf("%s[%d] = %v, PyTorch %v", b.name, i, got, want[i])
		}
	}
}

// goldenKL uses logits that a narrow type rounds, so it needs a device that stores them.
func goldenKL(s *suite) {
	if s.cfg.Bits > 0 {
		return
	}
	x := s.working.input("x", []float64{1, 0.2, -0.5, 0.3, 0.1, 0.9}, 2, 3)
	z := s.working.input("z", []float64{0.8, 0.5, -0.2, 0, 0.4, 1.1}, 2, 3)
	for _, c := range []struct {
		detach bool
		dx     []float64
	}{
		{true, []float64{0.030924, -0.020663, -0.010261, 0.023178, -0.011641, -0.011536}},
		{false, []float64{0.060975, -0.040743, -0.020232, 0.049624, -0.023719, -0.025905}},
	} {
		loss := s.exact.inout("loss", []float64{0}, 1)
		dx, dz := s.working.output("dx", 2, 3), s.working.output("dz", 2, 3)
		s.dev.SymmetricKL(loss.Tensor, dx.Tensor, dz.Tensor, x, z, 0.5, c.detach)
		s.close(loss, 0.028215)
		s.close(dx, c.dx...)
	}
}

func goldenBalance(s *suite) {
	q := s.exact.input("q", []float64{0.589181, 0.476679, 0.437030, 0.497110, 0.568431, 0.493406, 0.540152, 0.398011}, 2,
		4)
	f := s.exact.input("f", []float64{1.1, 1.1, 0.9, 0.9, 0.9, 0.9, 1.1, 1.1}, 2, 4)
	loss := s.exact.inout("loss", []float64{0}, 1)
	s.dev.Balance(loss.Tensor, compute.Tensor{}, q, f, 1)
	s.close(loss, 0.030085)
}
