// Package computetest is the conformance suite of compute.Device. Every method is compared with plain loops written
// from the formulas, on odd sizes, with destinations that are full of NaN and lie between guard elements.
//
// The same loop in float32 is the yardstick: the error of a device, compared with the float64 result, may be twice
// the error of that loop, scaled to the precision of the device, plus a few units in the last place.
//
// If Working is narrower than float32, Working inputs are rounded before either loop reads them. Inside, the
// yardstick rounds values that the contract stores in Working and operands of products in Working; everything else is
// float32. For Working results the tolerance also includes twice the rounding of the element itself. So an Exact
// result must be as exact as on a float32 device, and a Working result may have the error of the roundings that the
// contract implies.
package computetest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/compute"
)

// Config describes the device under test.
type Config struct {
	// Eps is the unit round-off of Exact: 2^-24 for float32, 2^-53 for float64.
	Eps float64
	// Bits is the number of significant bits of Working if it is narrower than Exact: 8 for bfloat16. Its exponents
	// are those of float32. 0 means that Working is the same as Exact.
	Bits int
	// Functions is the error of the device's exponentials and quotients, in units in the last place of a result, beyond
	// that of correctly rounded ones. The tolerance of an element includes as many units of it. On a CUDA card expf and
	// __fdividef err by up to 2 units each (CUDA C++ Programming Guide, "Mathematical Functions"), and SwiGLU, whose
	// error is almost that of the two alone, uses both in a row.
	Functions float64
	// Ops are the ops whose cases Run runs. nil means all.
	Ops []string
	// Sample is the number of cases of each op that Run runs, spread evenly over their sizes. 0 means all.
	Sample int
}

// round returns x, a float32, rounded to Working: to the nearest value, and to the one whose last bit is 0 if two are
// equally near.
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

// exact returns x. It is the rounding of the float64 loops.
func exact(x float64) float64 { return x }

// double reports whether results have more bits than a float32.
func (c Config) double() bool { return c.Eps < 1e-10 }

// reporter has the methods of testing.T that the suite calls. The suite's own test implements it to count the
// failures of a device with a planted fault.
type reporter interface {
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Helper()
}

// suite is the state of one case while it runs.
type suite struct {
	reporter
	dev   compute.Device
	cfg   Config
	rng   *rand.Rand
	bands []*band
	// working and exact make tensors of the two types.
	working, exact kind
}

// testCase is one named case. Names are key=value, the method first.
type testCase struct {
	name string
	run  func(s *suite)
	own  bool // the case needs a device that no other case has used
}

// Run tests the devices that open returns. Most cases share one of them.
func Run(t *testing.T, open func(t *testing.T) compute.Device, cfg Config) {
	shared := open(t)
	for _, c := range sample(selected(cases(cfg), cfg.Ops), cfg.Sample) {
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

// check runs one case and checks that it has not changed its inputs or the guards.
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

// selected returns the cases of some ops, or all if ops is nil. It panics for an op without cases.
func selected(all []testCase, ops []string) (some []testCase) {
	if ops == nil {
		return all
	}
	for _, op := range ops {
		before := len(some)
		for _, c := range all {
			if name, _, _ := strings.Cut(c.name, "/"); name == "op="+op {
				some = append(some, c)
			}
		}
		if len(some) == before {
			panic("computetest: there are no cases of " + op)
		}
	}
	return some
}

// sample returns n cases of each op, or all if there are no more: the first, the last and those at equal distances
// between them. If n is 0 it returns all cases.
func sample(all []testCase, n int) (some []testCase) {
	if n == 0 {
		return all
	}
	byOp := map[string][]testCase{}
	var ops []string
	for _, c := range all {
		op, _, _ := strings.Cut(c.name, "/")
		if byOp[op] == nil {
			ops = append(ops, op)
		}
		byOp[op] = append(byOp[op], c)
	}
	for _, op := range ops {
		group := byOp[op]
		for i := range min(n, len(group)) {
			some = append(some, group[i*(len(group)-1)/max(1, min(n, len(group))-1)])
		}
	}
	return some
}

// cases returns all cases of the suite.
func cases(cfg Config) []testCase {
	var all []testCase
	for _, group := range [][]testCase{
		memoryCases(), frozenCases(), randomCases(), elementwiseCases(), selectionCases(), matmulCases(),
		lowRankCases(), groupedCases(), nf4Cases(), normCases(), rmsNormCases(), swigluCases(), ropeCases(), attentionCases(),
		blockCases(), lossCases(),
		updateCases(), scaleCases(), invNormCases(), gateCases(), prefixCases(), penaltyCases(), importanceCases(),
		differenceCases(cfg),
	} {
		all = append(all, group...)
	}
	return all
}

// floor is an error, in units in the last place of the largest result, that a device may have in addition to that of
// the yardstick. In small cases the error of the yardstick is sometimes 0 by chance.
const floor = 4

// near compares the contents of b with the float64 result `want`, with a tolerance from the float32 result `plain`.
// size is the magnitude of the terms whose sums the results are, because results and yardstick may both be close to 0
// if terms cancel.
func (s *suite) near(b *band, want, plain []float64, size float64) {
	s.Helper()
	s.nearValues(b, b.name, b.read(s), want, plain, size)
}

// nearColumns is like near for each column separately. It is for columns of different magnitudes.
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
		// The final rounding to a narrow Working is relative to the element itself, and so is the error of a function.
		tol := within + 2*(unit+s.cfg.Functions*s.cfg.Eps)*math.Abs(w)
		// The comparison is written so that NaN fails and that equal infinities pass.
		if got[i] != w && !(math.Abs(got[i]-w) <= tol) {
			s.Errorf("%s[%d] = %v, want %v within %.3g", name, i, got[i], w, tol)
			return
		}
	}
}

// same checks that the contents of b are equal to want.
func (s *suite) same(b *band, want []float64) {
	s.Helper()
	for i, v := range b.read(s) {
		if v != want[i] {
			s.Errorf("%s[%d] = %v, want %v", b.name, i, v, want[i])
			return
		}
	}
}
