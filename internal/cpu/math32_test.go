package cpu

import (
	"math"
	"testing"
)

// ulps returns the error of got in units in the last place of float32.
func ulps(got float32, want float64) float64 {
	unit := math.Abs(float64(math.Nextafter32(float32(want), float32(math.Inf(1)))) - float64(float32(want)))
	return math.Abs(float64(got)-want) / unit
}

func TestExp32(t *testing.T) {
	worst, at := 0.0, float32(0)
	for x := float32(-87); x <= 80; x += 0.00137 {
		y := []float32{x, x, x}
		expSum32(y, 0)
		if y[0] != y[1] || y[0] != y[2] {
			t.Fatalf("exp(%v) is %v by its place", x, y)
		}
		if e := ulps(y[0], math.Exp(float64(x))); e > worst {
			worst, at = e, x
		}
	}
	if worst > 1 {
		t.Errorf("exp(%v) is off by %.2f ulp, want at most 1", at, worst)
	}
	for x, want := range map[float32]float32{0: 1, -1000: 0, float32(math.Inf(-1)): 0, -100: float32(math.Exp(-100))} {
		y := []float32{x}
		if expSum32(y, 0); y[0] != want {
			t.Errorf("exp(%v) = %v, want %v", x, y[0], want)
		}
	}
	y := []float32{float32(math.NaN()), 1}
	if s := expSum32(y, 0); s == s || y[0] == y[0] {
		t.Errorf("exp(NaN) = %v in a sum of %v, want NaN", y[0], s)
	}
}

// TestCubics checks that before rounding the error of the tables is at most half an ulp of 1, inside and far outside
// of the pieces.
func TestCubics(t *testing.T) {
	for _, c := range []struct {
		name  string
		table *cubics
		f     func(float64) float64
	}{
		{"cdf", cdfTable, normalCDF}, {"gelu_slope", slopeTable, geluSlope},
		{"tanh_gate", tanhTable, tanhGate}, {"tanh_slope", tanhSlopeTable, tanhGateSlope},
	} {
		t.Run("table="+c.name, func(t *testing.T) {
			x, y := make([]float32, 1), make([]float32, 1)
			one := []float32{1}
			worst, at := 0.0, float32(0)
			for x[0] = -12; x[0] <= 12; x[0] += 0.000173 {
				c.table.multiply(y, one, x)
				if e := math.Abs(float64(y[0]) - c.f(float64(x[0]))); e > worst {
					worst, at = e, x[0]
				}
			}
			if worst > 1.0/(1<<23) {
				t.Errorf("at %v it is off by %.2g", at, worst)
			}
			inf := float32(math.Inf(1))
			for v, want := range map[float32]float32{-1e30: 0, 1e30: 1, inf: 1, -inf: 0} {
				x[0] = v
				if c.table.multiply(y, one, x); y[0] != want {
					t.Errorf("at %v it is %v, want %v", v, y[0], want)
				}
			}
			x[0] = float32(math.NaN())
			if c.table.multiply(y, one, x); y[0] == y[0] {
				t.Errorf("at NaN it is %v", y[0])
			}
		})
	}
}
