package vector

import (
	"math"
	"testing"
)

// ulps returns the error of got in units in the last place of float32.
func ulps(got float32, want float64) float64 {
	unit := float64(math.Nextafter32(float32(math.Abs(want)), float32(math.Inf(1)))) - float64(float32(math.Abs(want)))
	return math.Abs(float64(got)-want) / unit
}

// TestExp compares exponentials with float64.
func TestExp(t *testing.T) {
	worst, at := 0.0, float32(0)
	for x := float32(-87.3); x <= 88.37; x += 0.000137 {
		if e := ulps(exp32(x), math.Exp(float64(x))); e > worst {
			worst, at = e, x
		}
	}
	t.Logf("the largest error is %.3f ulp at %v", worst, at)
	if worst > 1 {
		t.Errorf("exp(%v) is off by %.2f ulp; want at most 1", at, worst)
	}
	inf := float32(math.Inf(1))
	for x, want := range map[float32]float32{0: 1, -88: 0, -1000: 0, -inf: 0, 89: inf, inf: inf} {
		if got := exp32(x); got != want {
			t.Errorf("exp(%v) = %v; want %v", x, got, want)
		}
	}
	if got := exp32(float32(math.NaN())); got == got {
		t.Errorf("exp(NaN) = %v", got)
	}
	y := []float32{float32(math.NaN()), 1}
	if s := ExpSum(y, 0); s == s || y[0] == y[0] {
		t.Errorf("exp(NaN) = %v in a sum of %v; want NaN", y[0], s)
	}
}

func normalCDF(x float64) float64 { return 0.5 * math.Erfc(-x/math.Sqrt2) }

func tanhGate64(x float64) float64 {
	return 0.5 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// slope returns the derivative of x gate(x) by differences of fifth order.
func slope(gate func(float64) float64) func(float64) float64 {
	f := func(x float64) float64 { return x * gate(x) }
	return func(x float64) float64 {
		const h = 1e-3
		return (8*(f(x+h)-f(x-h)) - (f(x+2*h) - f(x-2*h))) / (12 * h)
	}
}

// TestGates compares the gates and their derivatives with float64, and checks that they are 0 and 1 far outside.
func TestGates(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(dst, y, x []float32)
		f    func(float64) float64
	}{
		{"gelu", MulGELU, normalCDF},
		{"gelu slope", MulGELUSlope, slope(normalCDF)},
		{"tanh", MulTanhGate, tanhGate64},
		{"tanh slope", MulTanhGateSlope, slope(tanhGate64)},
		{"sigmoid", func(dst, y, x []float32) {
			// silu'(x) is dgate with dy and up of 1.
			dup := make([]float32, len(x))
			SwiGLUGrad(dst, dup, x, y, y)
		}, slope(sigmoid)},
	} {
		t.Run(c.name, func(t *testing.T) {
			x, y, ones := make([]float32, 1000), make([]float32, 1000), make([]float32, 1000)
			for i := range ones {
				ones[i] = 1
			}
			worst, at := 0.0, float32(0)
			for from := -12.0; from < 12; from += 0.2 {
				for i := range x {
					x[i] = float32(from + float64(i)*0.0002)
				}
				c.do(y, ones, x)
				for i, v := range x {
					if e := math.Abs(float64(y[i]) - c.f(float64(v))); e > worst {
						worst, at = e, v
					}
				}
			}
			t.Logf("the largest error is %.3g at %v", worst, at)
			if worst > 2e-7 {
				t.Errorf("at %v it is off by %.3g; want at most 2e-7", at, worst)
			}
			far := []float32{-150, -1e4, -math.MaxFloat32, 150, 1e4, math.MaxFloat32}
			c.do(y[:6], ones, far)
			for i, v := range y[:6] {
				if want := float32(i / 3); v != want {
					t.Errorf("at %v it is %v; want %v", far[i], v, want)
				}
			}
			c.do(y[:1], ones, []float32{float32(math.NaN())})
			if y[0] == y[0] {
				t.Errorf("at NaN it is %v", y[0])
			}
		})
	}
}

// TestSums compares sums of a long vector with float64.
func TestSums(t *testing.T) {
	x := vectors(50000, 0)
	var sum, deviations, dot, squares, exponentials float64
	for i, v := range x[0] {
		a, b := float64(v), float64(x[1][i])
		sum += a
		deviations += (a - 0.25) * (a - 0.25)
		dot += a * b
		squares += a * a
		exponentials += math.Exp(a)
	}
	for _, c := range []struct {
		name               string
		got, want, largest float64
	}{
		{"Sum", float64(Sum(x[0])), sum, 50000 * 3},
		{"Deviations", float64(Deviations(x[0], 0.25)), deviations, deviations},
		{"Dot", float64(Dot(x[0], x[1])), dot, squares},
		{"Squares", Squares(x[0]), squares, squares * 1e-6},
		{"ExpSum", float64(ExpSum(x[0], 0)), exponentials, exponentials},
	} {
		if e := math.Abs(c.got-c.want) / c.largest; e > 1e-6 {
			t.Errorf("%s is %v; want %v, an error of %.3g", c.name, c.got, c.want, e)
		}
	}
}
