// Package computetest is the conformance suite of compute.Device. Every method
// is compared with plain loops written from the formulas, on odd sizes, with
// destinations full of NaN between guard bands.
//
// The yardstick is the same loop in float32: a device may be off from the
// float64 result by twice what that loop is off, scaled to its own precision,
// plus a few units in the last place.
//
// Where Working is narrower than float32, inputs in Working are rounded before
// either loop sees them. Between them the yardstick rounds what the contract
// stores in Working, and what a product of matrices takes in Working; everything
// else is float32. To that comes twice the rounding of the element itself. A
// result that is Exact is thus as exact as on a float32 device, and one that is
// Working is off by the roundings that are due.
package computetest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/lor2c/lor2c/internal/compute"
)

// Config describes the device under test.
type Config struct {
	// Eps is the unit round-off of Exact: 2^-24 for float32, 2^-53 for float64.
	Eps float64
	// Bits is how many significant bits Working has where it is narrower than
	// Exact, with the exponents of float32: 8 for bfloat16. 0: Working is Exact.
	Bits int
}

// round returns what becomes of x, a float32, in Working: the nearest value, and
// of two as near the one whose last bit is 0.
func (c Config) round(x float64) float64 {
	if c.Bits == 0 || math.IsNaN(x) || math.IsInf(x, 0) {
		return x
	}
	bits, drop := math.Float32bits(float32(x)), 24-c.Bits
	bits += 1<<(drop-1) - 1 + bits>>drop&1
	return float64(math.Float32frombits(bits &^ (1<<drop - 1)))
}

// unit is the unit round-off of Working.
func (c Config) unit() float64 {
	if c.Bits == 0 {
		return 0
	}
	return math.Ldexp(1, -c.Bits)
}

// exact is the rounding of the float64 loops: none.
func exact(x float64) float64 { return x }

// double reports whether results go beyond what float32 holds.
func (c Config) double() bool { return c.Eps < 1e-10 }

// reporter is what the suite needs of a testing.T, so that its own test can
// look at the failures of a device with a planted fault.
type reporter interface {
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Helper()
}

// suite is one case at work.
type suite struct {
	reporter
	dev   compute.Device
	cfg   Config
	rng   *rand.Rand
	bands []*band
	// What makes tensors of the two types.
	working, exact kind
}

// testCase is one named case. Names are key=value, the method first.
type testCase struct {
	name string
	run  func(s *suite)
	own  bool // needs a device that no other case has used
}

// Run tests the devices that open returns. Most cases share one of them.
func Run(t *testing.T, open func(t *testing.T) compute.Device, cfg Config) {
	shared := open(t)
	for _, c := range cases(cfg) {
		t.Run(c.name, func(t *testing.T) {
			dev := shared
			if c.own {
				dev = open(t)
				defer dev.Close()
			}
			c.check(t, dev, cfg)
		})
	}
	if err := shared.Close(); err != nil {
		t.Errorf("Close() = %v, want nil", err)
	}
}

// check runs one case and looks at what it must have left alone.
func (c testCase) check(r reporter, dev compute.Device, cfg Config) {
	r.Helper()
	s := &suite{reporter: r, dev: dev, cfg: cfg, rng: rand.New(rand.NewPCG(1, 2))}
	s.working, s.exact = kind{s, compute.Working}, kind{s, compute.Exact}
	dev.Reset()
	c.run(s)
	s.intact()
	if err := dev.Sync(); err != nil {
		r.Errorf("Sync() = %v, want nil", err)
	}
}

// cases lists the whole suite.
func cases(cfg Config) []testCase {
	var all []testCase
	for _, group := range [][]testCase{
		memoryCases(), randomCases(), elementwiseCases(), selectionCases(), matmulCases(),
		lowRankCases(), normCases(), rmsNormCases(), swigluCases(), ropeCases(), attentionCases(), lossCases(), updateCases(), differenceCases(cfg),
	} {
		all = append(all, group...)
	}
	return all
}

// floor is how many units in the last place of the largest result a device may
// be off beyond the yardstick, which is 0 by luck in small cases.
const floor = 4

// near compares the contents of b with the float64 reference, given what plain
// float32 made of it. size is the magnitude of the terms that the results are
// sums of: both results and yardstick may be next to 0 where terms cancel.
func (s *suite) near(b *band, want, plain []float64, size float64) {
	s.Helper()
	s.nearValues(b, b.name, b.read(s), want, plain, size)
}

// nearColumns does so by column, where columns are of different magnitude.
func (s *suite) nearColumns(b *band, want, plain []float64) {
	s.Helper()
	got, cols := b.read(s), b.Shape.Cols()
	for c := range cols {
		column := func(x []float64) []float64 {
			var y []float64
			for i := c; i < len(x); i += cols {
				y = append(y, x[i])
			}
			return y
		}
		s.nearValues(b, fmt.Sprintf("%s column %d", b.name, c), column(got), column(want), column(plain), 0)
	}
}

func (s *suite) nearValues(b *band, name string, got, want, plain []float64, size float64) {
	s.Helper()
	top, off := size, 0.0
	for i, w := range want {
		if !math.IsInf(w, 0) {
			top = max(top, math.Abs(w))
			off = max(off, math.Abs(w-plain[i]))
		}
	}
	factor := 2.0
	if s.cfg.double() {
		factor = 4 // the reference is no more exact than the device
	}
	within, unit := factor*off*s.cfg.Eps*(1<<24)+2*floor*s.cfg.Eps*top, 0.0
	if b.DType == compute.Working {
		unit = s.cfg.unit()
	}
	for i, w := range want {
		// The last rounding, of what is stored in a narrow Working, is of the
		// element's own size.
		tol := within + 2*unit*math.Abs(w)
		// Written so that NaN fails, and so that infinities may be equal.
		if got[i] != w && !(math.Abs(got[i]-w) <= tol) {
			s.Errorf("%s[%d] = %v, want %v within %.3g", name, i, got[i], w, tol)
			return
		}
	}
}

// same asks for equality.
func (s *suite) same(b *band, want []float64) {
	s.Helper()
	for i, v := range b.read(s) {
		if v != want[i] {
			s.Errorf("%s[%d] = %v, want %v", b.name, i, v, want[i])
			return
		}
	}
}
