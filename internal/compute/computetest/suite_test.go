package computetest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/cpu"
)

var single = Config{Eps: 1.0 / (1 << 24)}

// recorder counts failures instead of reporting them.
type recorder struct{ failures []string }

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

// Fatalf ends the case with a panic that failures recovers from.
func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	panic(r)
}

// failures runs the cases of one method up to the first that fails, and returns its failures.
func failures(dev compute.Device, cfg Config, op string) (found []string, ran int) {
	for _, c := range cases(cfg) {
		if name, _, _ := strings.Cut(c.name, "/"); name != "op="+op {
			continue
		}
		ran++
		r := &recorder{}
		func() {
			defer func() {
				if p := recover(); p != nil && p != any(r) {
					panic(p)
				}
			}()
			c.check(r, dev, cfg)
		}()
		if found = r.failures; len(found) > 0 {
			break
		}
	}
	return found, ran
}

// faulty is a device some of whose methods are replaced by hooks.
type faulty struct {
	compute.Device
	fill    func(dst compute.Tensor, v float32)
	copy    func(dst, src compute.Tensor)
	axpy    func(dst compute.Tensor, alpha float32, x compute.Tensor)
	act     func(a compute.Act, dst, pre compute.Tensor)
	dropout func(dst, x compute.Tensor, drop compute.Dropout)
	sumRows func(dst, x compute.Tensor)
	scatter func(dst, idx, x compute.Tensor)
	put     func(dst, idx, x compute.Tensor)
	argMax  func(dst, x compute.Tensor)
	gemm    func(
		dst compute.Tensor, alpha float32, a compute.Tensor, ta bool, b compute.Tensor, tb bool, accumulate bool,
	)
	linear    func(dst, pre, x, w, bias compute.Tensor, act compute.Act)
	down      func(u, x, a compute.Tensor, drop compute.Dropout)
	downGrad  func(dx, da, x, a, du compute.Tensor, drop compute.Dropout, accumulate bool)
	up        func(dst, u, b compute.Tensor, scale float32)
	upGrad    func(du, db, u, b, dy compute.Tensor, scale float32)
	norm      func(o compute.LayerNormArgs)
	normGrad  func(o compute.LayerNormGradArgs)
	rms       func(o compute.RMSNormArgs)
	rmsGrad   func(o compute.RMSNormGradArgs)
	rope      func(x, pos, table compute.Tensor, inverse bool)
	swiglu    func(dst, gate, up compute.Tensor)
	swiGrad   func(dgate, dup, gate, up, dy compute.Tensor)
	attention func(dst, lse, q, k, v compute.Tensor, o compute.AttnOpts)
	attnGrad  func(o compute.AttentionGradArgs)
	entropy   func(loss, dlogits, logits, labels compute.Tensor, scale float32, o compute.CrossEntropyOpts)
	binary    func(loss, dlogits, logits, targets compute.Tensor, scale float32)
	gradNorm  func(state, g, loss compute.Tensor, maxNorm float32)
	sumAbs    func(dst, x compute.Tensor)
	adamW     func(p, w, m, v, g, state compute.Tensor, o compute.AdamWOpts)
	release   func(t compute.Tensor)
	methodHooks
}

// honest returns a faulty whose hooks all call dev.
func honest(dev compute.Device) *faulty {
	return &faulty{
		Device: dev, fill: dev.Fill, copy: dev.Copy, axpy: dev.Axpy, act: dev.Act, dropout: dev.Dropout, sumRows: dev.SumRows,
		scatter: dev.Scatter, put: dev.Put, argMax: dev.ArgMax, gemm: dev.Gemm, linear: dev.Linear,
		down: dev.LowRankDown, downGrad: dev.LowRankDownGrad,
		up: dev.LowRankUp, upGrad: dev.LowRankUpGrad,
		norm: dev.LayerNorm, normGrad: dev.LayerNormGrad, rms: dev.RMSNorm, rmsGrad: dev.RMSNormGrad,
		rope: dev.RoPE, swiglu: dev.SwiGLU, swiGrad: dev.SwiGLUGrad, attention: dev.Attention, attnGrad: dev.AttentionGrad,
		entropy: dev.CrossEntropy, binary: dev.BinaryCrossEntropy,
		gradNorm: dev.GradNorm, adamW: dev.AdamW, sumAbs: dev.SumAbs, release: dev.Release,
		methodHooks: honestMethods(dev),
	}
}

func (f *faulty) Fill(dst compute.Tensor, v float32)                       { f.fill(dst, v) }
func (f *faulty) Copy(dst, src compute.Tensor)                             { f.copy(dst, src) }
func (f *faulty) Axpy(dst compute.Tensor, alpha float32, x compute.Tensor) { f.axpy(dst, alpha, x) }
func (f *faulty) Act(a compute.Act, dst, pre compute.Tensor)               { f.act(a, dst, pre) }
func (f *faulty) Dropout(dst, x compute.Tensor, drop compute.Dropout)      { f.dropout(dst, x, drop) }
func (f *faulty) SumRows(dst, x compute.Tensor)                            { f.sumRows(dst, x) }
func (f *faulty) SumAbs(dst, x compute.Tensor)                             { f.sumAbs(dst, x) }
func (f *faulty) Scatter(dst, idx, x compute.Tensor)                       { f.scatter(dst, idx, x) }
func (f *faulty) Put(dst, idx, x compute.Tensor)                           { f.put(dst, idx, x) }
func (f *faulty) ArgMax(dst, x compute.Tensor)                             { f.argMax(dst, x) }
func (f *faulty) GradNorm(state, g, loss compute.Tensor, maxNorm float32) {
	f.gradNorm(state, g, loss, maxNorm)
}
func (f *faulty) AdamW(p, w, m, v, g, state compute.Tensor, o compute.AdamWOpts) {
	f.adamW(p, w, m, v, g, state, o)
}
func (f *faulty) Release(t compute.Tensor) { f.release(t) }

func (f *faulty) Gemm(
	dst compute.Tensor, alpha float32, a compute.Tensor, ta bool, b compute.Tensor, tb bool, accumulate bool,
) {
	f.gemm(dst, alpha, a, ta, b, tb, accumulate)
}

func (f *faulty) Linear(dst, pre, x, w, bias compute.Tensor, act compute.Act) {
	f.linear(dst, pre, x, w, bias, act)
}

func (f *faulty) LowRankDown(u, x, a compute.Tensor, drop compute.Dropout) { f.down(u, x, a, drop) }

func (f *faulty) LowRankDownGrad(dx, da, x, a, du compute.Tensor, drop compute.Dropout, accumulate bool) {
	f.downGrad(dx, da, x, a, du, drop, accumulate)
}

func (f *faulty) LowRankUp(dst, u, b compute.Tensor, scale float32) { f.up(dst, u, b, scale) }

func (f *faulty) LowRankUpGrad(du, db, u, b, dy compute.Tensor, scale float32) {
	f.upGrad(du, db, u, b, dy, scale)
}

func (f *faulty) LayerNorm(o compute.LayerNormArgs)         { f.norm(o) }
func (f *faulty) LayerNormGrad(o compute.LayerNormGradArgs) { f.normGrad(o) }
func (f *faulty) RMSNorm(o compute.RMSNormArgs)             { f.rms(o) }
func (f *faulty) RMSNormGrad(o compute.RMSNormGradArgs)     { f.rmsGrad(o) }
func (f *faulty) AttentionGrad(o compute.AttentionGradArgs) { f.attnGrad(o) }

func (f *faulty) RoPE(x, pos, table compute.Tensor, inverse bool) {
	f.rope(x, pos, table, inverse)
}

func (f *faulty) SwiGLU(dst, gate, up compute.Tensor) { f.swiglu(dst, gate, up) }

func (f *faulty) SwiGLUGrad(dgate, dup, gate, up, dy compute.Tensor) {
	f.swiGrad(dgate, dup, gate, up, dy)
}

func (f *faulty) Attention(dst, lse, q, k, v compute.Tensor, o compute.AttnOpts) {
	f.attention(dst, lse, q, k, v, o)
}

func (f *faulty) CrossEntropy(loss, dlogits, logits, labels compute.Tensor, scale float32, o compute.CrossEntropyOpts) {
	f.entropy(loss, dlogits, logits, labels, scale, o)
}

func (f *faulty) BinaryCrossEntropy(loss, dlogits, logits, targets compute.Tensor, scale float32) {
	f.binary(loss, dlogits, logits, targets, scale)
}

// TestFaults plants one fault at a time and checks that the suite finds it.
func TestFaults(t *testing.T) {
	t.Run("dtype=float32", func(t *testing.T) {
		testFaults(t, func() compute.Device { return cpu.Open[float32](1) }, single, slices.Concat(faults, methodFaults))
	})
	t.Run("dtype=bfloat16", func(t *testing.T) {
		testFaults(t, func() compute.Device { return openNarrow() }, half,
			slices.Concat(faults, methodFaults, narrowFaults, narrowMethodFaults))
	})
}

// TestNarrow checks that a device that computes in float32 and rounds what it stores in Working passes every case.
func TestNarrow(t *testing.T) {
	Run(t, func(*testing.T) compute.Device { return openNarrow() }, half)
}

func testFaults(t *testing.T, open func() compute.Device, cfg Config, faults []fault) {
	// passed are the methods whose cases pass without a fault. TestNarrow shows it for the device that rounds.
	passed := map[string]bool{}
	for _, fault := range faults {
		t.Run(fmt.Sprintf("op=%s/fault=%s", fault.op, fault.name), func(t *testing.T) {
			if testing.Short() && (cfg.Bits != single.Bits || passed[fault.op]) {
				t.Skip("-short plants one fault in each method, in float32")
			}
			dev := open()
			defer dev.Close()
			f := honest(dev)
			if !passed[fault.op] && cfg.Bits == single.Bits {
				if found, ran := failures(f, cfg, fault.op); ran == 0 || len(found) > 0 {
					t.Fatalf("%d cases without a fault found %q", ran, found)
				}
				passed[fault.op] = true
			}
			fault.plant(f, dev)
			found, _ := failures(f, cfg, fault.op)
			if len(found) == 0 {
				t.Fatal("the suite found no fault")
			}
			t.Log(found[0])
		})
	}
}

// TestSample: a sample has the first and the last size of every op, and as many cases as were asked for.
func TestSample(t *testing.T) {
	cfg := Config{Eps: 0x1p-24}
	all := cases(cfg)
	count := func(of []testCase) map[string]int {
		n := map[string]int{}
		for _, c := range of {
			op, _, _ := strings.Cut(c.name, "/")
			n[op]++
		}
		return n
	}
	if got := sample(all, 0); len(got) != len(all) {
		t.Errorf("%d cases without a sample; want %d", len(got), len(all))
	}
	some := sample(all, 3)
	want := count(all)
	for op, n := range want {
		want[op] = min(n, 3)
	}
	if got := count(some); !maps.Equal(got, want) {
		t.Errorf("cases by op %v; want %v", got, want)
	}
	names := map[string]bool{}
	for _, c := range some {
		if names[c.name] {
			t.Errorf("%s occurs twice", c.name)
		}
		names[c.name] = true
	}
	if last := all[len(all)-1].name; !names[last] {
		t.Errorf("the last case %s is missing", last)
	}
}

// TestFunctions: a result may err by the given number of units in its last place, and no more.
func TestFunctions(t *testing.T) {
	const n, unit = 100, 0x1p-23
	for name, c := range map[string]struct {
		functions, off float64
		fails          bool
	}{
		"rounded":  {0, 64 * unit, true},
		"within":   {64, 63 * unit, false},
		"beyond":   {64, 90 * unit, true},
		"no error": {0, 0, false},
	} {
		t.Run("error="+name, func(t *testing.T) {
			want, got := make([]float64, n), make([]float64, n)
			for i := range want {
				want[i] = 1
				got[i] = 1 + c.off
			}
			r := &recorder{}
			s := &suite{reporter: r, cfg: Config{Eps: 0x1p-24, Functions: c.functions}}
			s.nearValues(&band{}, "x", got, want, want, 0)
			if (len(r.failures) > 0) != c.fails {
				t.Errorf("failures %q; want some: %v", r.failures, c.fails)
			}
		})
	}
}
