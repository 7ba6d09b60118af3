package computetest

import (
	"fmt"
	"math"

	"github.com/lor2c/lor2c/internal/compute"
)

// float is the type that references compute in: float64 for the true result, float32 for the yardstick. References
// take and return float64, in which both are exact.
type float interface{ float32 | float64 }

// in rounds x to F.
func in[F float](x []float64) []F {
	y := make([]F, len(x))
	for i, v := range x {
		y[i] = F(v)
	}
	return y
}

// out converts x to float64.
func out[F float](x []F) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

var activations = []struct {
	name string
	act  compute.Act
}{
	{"identity", compute.Identity}, {"gelu", compute.GELU}, {"gelu_tanh", compute.GELUTanh},
	{"relu", compute.ReLU}, {"tanh", compute.Tanh}, {"silu", compute.SiLU},
}

// activation computes act(x), with each step rounded to F.
func activation[F float](act compute.Act, x F) F {
	switch act {
	case compute.GELU:
		return F(0.5) * x * (1 + F(math.Erf(float64(x/F(math.Sqrt2)))))
	case compute.GELUTanh:
		return F(0.5) * x * (1 + F(math.Tanh(float64(F(math.Sqrt(2/math.Pi))*(x+F(0.044715)*x*x*x)))))
	case compute.ReLU:
		return max(x, 0)
	case compute.Tanh:
		return F(math.Tanh(float64(x)))
	case compute.SiLU:
		return x / (1 + F(math.Exp(float64(-x))))
	}
	return x
}

// slope computes act'(x), with each step rounded to F.
func slope[F float](act compute.Act, x F) F {
	switch act {
	case compute.GELU:
		cdf := F(0.5) * (1 + F(math.Erf(float64(x/F(math.Sqrt2)))))
		return cdf + x*F(math.Exp(float64(-x*x/2)))/F(math.Sqrt(2*math.Pi))
	case compute.GELUTanh:
		// Beyond this the result is 0 or 1, and the last product would be 0 times Inf.
		if x > 20 || x < -20 {
			return max(min(x, 1), 0)
		}
		c, a := F(math.Sqrt(2/math.Pi)), F(0.044715)
		t := F(math.Tanh(float64(c * (x + a*x*x*x))))
		return F(0.5)*(1+t) + F(0.5)*x*(1-t*t)*c*(1+3*a*x*x)
	case compute.ReLU:
		if x > 0 {
			return 1
		}
		return 0
	case compute.Tanh:
		t := F(math.Tanh(float64(x)))
		return 1 - t*t
	case compute.SiLU:
		s := 1 / (1 + F(math.Exp(float64(-x))))
		return s * (1 + x*(1-s))
	}
	return 1
}

func activate[F float](act compute.Act, x []float64) []float64 {
	y := in[F](x)
	for i, v := range y {
		y[i] = activation(act, v)
	}
	return out(y)
}

func activateGrad[F float](act compute.Act, x, dy []float64) []float64 {
	y := in[F](x)
	for i, v := range y {
		y[i] = slope(act, v) * F(dy[i])
	}
	return out(y)
}

// sumRows adds the rows of x to start, in order.
func sumRows[F float](start, x []float64) []float64 {
	y, cols := in[F](start), len(start)
	sum := make([]F, cols)
	for i, v := range x {
		sum[i%cols] += F(v)
	}
	for c := range y {
		y[c] += sum[c]
	}
	return out(y)
}

func elementwiseCases() []testCase {
	var all []testCase
	for _, n := range []int{1, 3, 17, 33, 257, 1025, 40001} {
		all = append(all,
			testCase{name: fmt.Sprintf("op=Fill/n=%d", n), run: func(s *suite) {
				checkFill(s, s.working, n)
				checkFill(s, s.exact, n)
			}},
			testCase{name: fmt.Sprintf("op=Copy/n=%d", n), run: func(s *suite) {
				checkCopy(s, s.working, s.working, n)
				checkCopy(s, s.exact, s.exact, n)
				checkCopy(s, s.exact, s.working, n)
				checkCopy(s, s.working, s.exact, n)
			}},
			testCase{name: fmt.Sprintf("op=Axpy/n=%d", n), run: func(s *suite) {
				checkAxpy(s, s.working, n)
				checkAxpy(s, s.exact, n)
			}},
		)
	}
	for _, a := range activations {
		// Magnitudes of x at which an activation is linear, curved and constant.
		for _, std := range []float64{1e-3, 1, 30, 1e4} {
			all = append(all, testCase{
				name: fmt.Sprintf("op=Act/act=%s/std=%g", a.name, std),
				run:  func(s *suite) { checkAct(s, a.act, std) },
			})
		}
	}
	for _, n := range []int{1, 3, 33, 257, 2049} {
		for _, c := range []int{1, 3, 17, 257, 1025, 1032} {
			if n > 257 && c > 17 {
				continue
			}
			all = append(all, testCase{name: fmt.Sprintf("op=SumRows/n=%d/c=%d", n, c), run: func(s *suite) {
				x, data := s.working.random("x", n, c)
				dst, start := s.exact.adds("dst", c)
				s.dev.SumRows(dst.Tensor, x)
				s.near(dst, sumRows[float64](start, data), sumRows[float32](start, data), root(n))
			}})
		}
	}
	return all
}

// checkFill fills with a value that a narrow type rounds up.
func checkFill(s *suite, k kind, n int) {
	const value float32 = 0.3
	dst := k.output("dst", n)
	s.dev.Fill(dst.Tensor, value)
	want := make([]float64, n)
	for i := range want {
		want[i] = k.round(float64(value))
	}
	s.same(dst, want)
}

// checkCopy copies between two types. Some values are halfway between two values of the narrow type, and some next to
// that.
func checkCopy(s *suite, to, from kind, n int) {
	data := from.normal(n, 1)
	unit := s.cfg.unit()
	for i, v := range []float64{
		1 + unit, 1 + 3*unit, -1 - unit, 1 + unit*(1+1.0/1024), 1 + unit*(1-1.0/1024), math.MaxFloat32,
	} {
		if n > 6 && from.dtype == compute.Exact {
			data[i] = float64(float32(v))
		}
	}
	want := make([]float64, n)
	for i, v := range data {
		want[i] = to.round(v)
	}
	dst := to.output("dst", n)
	s.dev.Copy(dst.Tensor, from.input("src", data, n))
	s.same(dst, want)
}

func checkAxpy(s *suite, k kind, n int) {
	x, data := k.random("x", n)
	dst, start := k.adds("dst", n)
	s.dev.Axpy(dst.Tensor, -0.375, x)
	want, plain := make([]float64, n), make([]float64, n)
	for i := range want {
		want[i] = start[i] - 0.375*data[i]
		plain[i] = float64(float32(start[i]) - 0.375*float32(data[i]))
	}
	s.near(dst, want, plain, 1)
}

func checkAct(s *suite, act compute.Act, std float64) {
	const n = 1025
	x := s.working.normal(n, std)
	x[0] = 0
	dy := s.working.normal(n, 1)
	pre := s.working.input("pre", x, n)
	dst := s.working.output("dst", n)
	s.dev.Act(act, dst.Tensor, pre)
	s.near(dst, activate[float64](act, x), activate[float32](act, x), 0)

	want, plain := activateGrad[float64](act, x, dy), activateGrad[float32](act, x, dy)
	dx := s.working.output("dx", n)
	s.dev.ActGrad(act, dx.Tensor, pre, s.working.input("dy", dy, n))
	s.near(dx, want, plain, 0)
	inPlace := s.working.inout("dx=dy", dy, n)
	s.dev.ActGrad(act, inPlace.Tensor, pre, inPlace.Tensor)
	s.near(inPlace, want, plain, 0)
}
