package adapter_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/tape"
)

var kinds = []string{"roberta", "bert"}

// TestNames: the table of methods in this package's tests is complete.
func TestNames(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range methods {
		seen[m.config.Name()] = true
	}
	for _, name := range adapter.Names() {
		if !seen[name] {
			t.Errorf("method %s is not in the contract's table", name)
		}
	}
	if got, want := adapter.Names(), []string{
		"adalora", "adamix", "adapter", "aslora", "bitfit", "dora", "dylora", "full", "head", "hydralora", "ia3", "lor2c",
		"lora", "loramoe", "melora", "olora", "pissa", "prefix", "reslora", "sharelora", "vera",
	}; !slices.Equal(got, want) {
		t.Errorf("Names() = %q; want %q", got, want)
	}
}

// TestInit: A is drawn from the seed and is uniform within PyTorch's bounds,
// which the variance bound^2/3 distinguishes from other distributions, and B is
// zero.
func TestInit(t *testing.T) {
	dev := cpu.Open[float32](1)
	config := tiny("roberta")
	config.Width, config.Heads = 300, 4
	m, err := model.New(dev, config, 2, 1, nil, weights)
	if err != nil {
		t.Fatal(err)
	}
	draw := func(seed uint64) adapter.Method {
		c := adapter.Configure("lora", adapter.Values{"rank": 20, "alpha": 1, "target_modules": []string{"query"}})
		c.Resolve()
		method, err := adapter.Attach(dev, m, adapter.Settings{Config: c, Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		return method
	}
	n, same, other := draw(1), draw(1), draw(2)
	bound := 1 / math.Sqrt(300)
	var drawn []float32
	for i, p := range n.Params() {
		v := download(dev, p.Value)
		if strings.HasSuffix(p.Name, "lora_B.weight") {
			if !sameBits(v, make([]float32, len(v))) {
				t.Errorf("%s does not start at zero", p.Name)
			}
			continue
		}
		var square float64
		for _, x := range v {
			if math.Abs(float64(x)) > bound {
				t.Fatalf("%s holds %g; want at most %g", p.Name, x, bound)
			}
			square += float64(x) * float64(x)
		}
		// The tolerance is six standard deviations of the mean of 6,000 squares.
		if got := square / float64(len(v)) / (bound * bound / 3); math.Abs(got-1) > 6*math.Sqrt(0.8/float64(len(v))) {
			t.Errorf("%s has %.3f times the variance of the uniform distribution", p.Name, got)
		}
		if !sameBits(v, download(dev, same.Params()[i].Value)) {
			t.Errorf("%s differs between two methods with the same seed", p.Name)
		}
		if sameBits(v, download(dev, other.Params()[i].Value)) || sameBits(v, drawn) {
			t.Errorf("%s has the same values with another seed or name", p.Name)
		}
		drawn = v
	}
}

// TestFactors: layer and factor of every low-rank parameter agree with its name
// in the file, also after merges and injections. A shared A, and a parameter
// that does not belong to a low-rank map, have neither.
func TestFactors(t *testing.T) {
	name := regexp.MustCompile(`\.layer\.(\d+)\..*\.lora_([AB])(?:\.weight)?$`)
	for _, m := range methods {
		t.Run("method="+m.name, func(t *testing.T) {
			for _, p := range attach(t, cpu.Open[float32](1), "roberta", m.config, m.merge).Method.Params() {
				want := ""
				if found := name.FindStringSubmatch(p.Name); found != nil {
					want = found[2] + found[1]
				}
				got := p.Factor
				if got != "" {
					got += fmt.Sprint(p.Layer)
				}
				if got != want {
					t.Errorf("%s is factor %q; want %q", p.Name, got, want)
				}
			}
		})
	}
}

// TestIdle: a parameter has no gradient in the first step exactly where it says so. A bias of keys has none but
// rounding.
func TestIdle(t *testing.T) {
	for _, m := range methods {
		t.Run("method="+m.name, func(t *testing.T) {
			n := attach(t, cpu.Open[float64](1), "bert", m.config, m.merge)
			if err := n.Step(1, n.parts(), 0); err != nil {
				t.Fatal(err)
			}
			for _, p := range n.Method.Params() {
				if p.Idle == tape.OftenIdle {
					continue
				}
				if idle := largest(cpu.Data[float64](p.Grad)) == 0; idle != (p.Idle == tape.IdleAtStart) {
					t.Errorf("%s has no gradient in the first step: %t", p.Name, idle)
				}
			}
		})
	}
}

// TestStart: attaching a method does not change a bit of the output, or only by rounding if the registry says
// so.
func TestStart(t *testing.T) {
	for _, kind := range kinds {
		for _, m := range methods {
			t.Run("model="+kind+"/method="+m.name, func(t *testing.T) {
				dev := cpu.Open[float32](2)
				n, b := attach(t, dev, kind, m.config, m.merge), join(micro())
				base, err := model.New(dev, tiny(kind), 3, 1, nil, weights)
				if err != nil {
					t.Fatal(err)
				}
				for _, training := range []bool{false, true} {
					if training && adapter.RewritesBase(m.config.Name()) {
						continue // dropout acts on a part of the weight
					}
					n.Method.Begin(adapter.At{Step: 1, Seed: 1, Train: training})
					got, want := logits(dev, n.Model, n.Method.Hook(adapter.At{}), b, training), logits(dev, base, model.Base{}, b,
						training)
					if adapter.MovesStart(m.config.Name()) && m.name != "adamix-lora" { // its B begins at zero
						if sameBits(got, want) {
							t.Errorf("training=%t: logits are the base's", training)
						}
					} else if adapter.RoundsStart(m.config.Name()) {
						if e := relative(got, want); !(e <= 1e-5) || sameBits(got, want) {
							t.Errorf("training=%t: logits are %.1e away from the base's; want a difference by rounding", training, e)
						}
					} else if !sameBits(got, want) {
						t.Errorf("training=%t: logits %v; the base has %v", training, got, want)
					}
				}
				if n.leaveStart(); len(n.Method.Params()) > 0 && m.config.Trains() == nil {
					if sameBits(logits(dev, n.Model, n.Method.Hook(adapter.At{}), b, false),
						logits(dev, n.Model, model.Base{}, b, false)) {
						t.Error("logits are still those of the base after B has changed")
					}
				}
			})
		}
	}
}

// TestGradient compares the gradient of every trainable tensor with differences
// of the loss of the whole step in float64. Dropout is on: because masks are
// functions of counters, the loss is a smooth function of the parameters.
func TestGradient(t *testing.T) {
	for i, kind := range kinds {
		// Whether the gradients of micro-batches add up does not depend on the network.
		parts := micro()
		if i > 0 {
			parts = []model.Batch{join(parts)}
		}
		for _, m := range methods {
			t.Run(fmt.Sprintf("model=%s/method=%s", kind, m.name), func(t *testing.T) {
				if testing.Short() && i > 0 {
					t.Skip("-short checks one model")
				}
				dev := &holding{Device: cpu.Open[float64](1)}
				n := attach(t, dev, kind, m.config, m.merge)
				n.leaveStart()
				n.gradient(t, parts)
				dev.held = true
				random := rand.New(rand.NewPCG(1, 2))
				// The loss of a method may add to gradients, so they are kept before it is computed again.
				var grads [][]float64
				for _, p := range n.Opt.Params() {
					grads = append(grads, slices.Clone(cpu.Data[float64](p.Grad)))
				}
				for i, p := range n.Opt.Params() {
					checkGradient(t, n, parts, p, grads[i], random)
				}
			})
		}
	}
}

// holding is a device that keeps the norms that DoRA computes, once held is set: its gradient takes them for constants.
type holding struct {
	compute.Device
	held bool
}

func (h *holding) LowRankInvNorm(dst, w, a, b compute.Tensor, scale float32) {
	if !h.held {
		h.Device.LowRankInvNorm(dst, w, a, b, scale)
	}
}

// checkGradient compares the sum of the gradients of two elements, that with the largest gradient and a random one,
// with differences of the loss when both are changed by the same amount.
func checkGradient(t *testing.T, n *network, parts []model.Batch, p *tape.Param, grad []float64, random *rand.Rand) {
	t.Helper()
	value := cpu.Data[float64](p.Value)
	size, at := largest(grad), 0
	for i, g := range grad {
		if math.Abs(g) == size {
			at = i
		}
	}
	if p.Idle == tape.OftenIdle && size == 0 {
		return // the step has not drawn it
	}
	// A constant that is added to every key shifts all scores of a query equally,
	// so the loss does not depend on it. Every other parameter must have a
	// gradient.
	if !strings.HasSuffix(p.Name, "key.bias") && !(size > 1e-6) {
		t.Errorf("%s: the largest gradient is %g", p.Name, size)
	}
	other := random.IntN(len(grad))
	loss := func(h float64) float64 {
		was := [2]float64{value[at], value[other]}
		value[at] += h
		value[other] += h
		sum := n.loss(parts)
		value[at], value[other] = was[0], was[1]
		return sum
	}
	const h = 3e-4
	apart := func(want float64) float64 { return math.Abs(grad[at] + grad[other] - want) }
	near := 2e-7*size + 1e-11
	one := loss(h) - loss(-h)
	want := one / (2 * h)
	if !(apart(want) <= near) {
		// These are central differences at h and 2h, extrapolated to an error of h^4.
		want = (8*one - (loss(2*h) - loss(-2*h))) / (12 * h)
	}
	if e := apart(want); !(e <= near) {
		t.Errorf("%s: the gradients of [%d] and [%d] are %.9g and %.9g; differences give a sum of %.9g, %.1e of the largest "+
			"apart", p.Name, at, other, grad[at], grad[other], want, e/size)
	}
}

// TestAccumulation: masks and gradients do not depend on how a batch is divided
// into micro-batches.
func TestAccumulation(t *testing.T) {
	for _, kind := range kinds {
		for _, m := range methods {
			t.Run("model="+kind+"/method="+m.name, func(t *testing.T) {
				if adapter.PerMicroBatch(m.config.Name()) {
					t.Skip("the registry says that the method does something for each micro-batch")
				}
				whole := attach(t, cpu.Open[float64](1), kind, m.config, m.merge)
				split := attach(t, cpu.Open[float64](1), kind, m.config, m.merge)
				whole.leaveStart()
				split.leaveStart()
				whole.gradient(t, []model.Batch{join(micro())})
				split.gradient(t, micro())
				for i, p := range whole.Opt.Params() {
					want, got := cpu.Data[float64](p.Grad), cpu.Data[float64](split.Opt.Params()[i].Grad)
					apart := make([]float64, len(want))
					for j := range want {
						apart[j] = got[j] - want[j]
					}
					if e := largest(apart); !(e <= 1e-12*largest(want)+1e-15) {
						t.Errorf("%s: the gradients of one and two micro-batches are %.1e of the largest apart", p.Name, e/largest(want))
					}
				}
			})
		}
	}
}

// steps trains on both micro-batches for the given number of steps.
func (n *network) steps(t *testing.T, count int) {
	t.Helper()
	for step := 1; step <= count; step++ {
		if err := n.Step(step, n.parts(), 1); err != nil {
			t.Fatal(err)
		}
	}
	reports, err := n.Reports(1, count)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range reports {
		if r.Halted || !(r.GradNorm > 0) {
			t.Fatalf("step %d: loss %g, norm %g", r.Step, r.Loss, r.GradNorm)
		}
	}
}

// TestFrozen: steps change every trainable tensor and not a bit of any other.
// Without its hook a trained method does not affect the model.
func TestFrozen(t *testing.T) {
	for _, kind := range kinds {
		for _, m := range methods {
			t.Run("model="+kind+"/method="+m.name, func(t *testing.T) {
				dev := cpu.Open[float32](2)
				n := attach(t, dev, kind, m.config, m.merge)
				all := slices.Concat(n.Model.Base(), n.Model.Head())
				for _, p := range n.Method.Params() {
					if !slices.Contains(all, p) {
						all = append(all, p)
					}
				}
				before := map[*tape.Param][]float32{}
				for _, p := range all {
					before[p] = download(dev, p.Value)
				}
				n.steps(t, 3)
				for _, p := range all {
					trained := slices.Contains(n.Method.Params(), p) || slices.Contains(n.Model.Head(), p)
					if moved := !sameBits(before[p], download(dev, p.Value)); moved != trained && p.Idle != tape.OftenIdle {
						t.Errorf("%s: moved is %t, trained is %t", p.Name, moved, trained)
					}
				}
				if m.config.Trains() != nil || adapter.RewritesBase(m.config.Name()) { // the base itself has changed
					return
				}
				fresh, err := model.New(dev, tiny(kind), 3, 1, nil, weights)
				if err != nil {
					t.Fatal(err)
				}
				for i, p := range fresh.Head() {
					dev.Upload(p.Value, download(dev, n.Model.Head()[i].Value))
				}
				b := join(micro())
				if !sameBits(logits(dev, n.Model, model.Base{}, b, false), logits(dev, fresh, model.Base{}, b, false)) {
					t.Error("without the hook, logits differ from those of the original encoder with the same head")
				}
			})
		}
	}
}

// TestShareGradient: the gradient of a shared A is the sum of the gradients of
// separate modules that have the same factors, each with its own masks.
func TestShareGradient(t *testing.T) {
	for _, kind := range kinds {
		t.Run("model="+kind, func(t *testing.T) {
			c := adapter.Configure("lor2c", adapter.Values{"rank": 2, "alpha": 5})
			own := attach(t, cpu.Open[float64](1), kind, c, nil)
			c = c.With(adapter.Values{"share": true})
			shared := attach(t, cpu.Open[float64](1), kind, c, nil)
			own.leaveStart()
			shared.leaveStart()
			a := shared.Method.Params()[0]
			for _, p := range own.Method.Params() {
				if strings.HasSuffix(p.Name, "lora_A.weight") {
					copy(cpu.Data[float64](p.Value), cpu.Data[float64](a.Value))
				}
			}
			own.gradient(t, micro())
			shared.gradient(t, micro())
			apart := slices.Clone(cpu.Data[float64](a.Grad))
			uses := 0
			for _, p := range own.Method.Params() {
				if strings.HasSuffix(p.Name, "lora_A.weight") {
					uses++
					for i, g := range cpu.Data[float64](p.Grad) {
						apart[i] -= g
					}
				}
			}
			if e := largest(apart); uses != 4 || !(e <= 1e-12*largest(cpu.Data[float64](a.Grad))) {
				t.Errorf("dA is %g away from the sum over %d layers; want none over 4", e, uses)
			}
		})
	}
}

// TestForward works an example by hand: two layers f(h) = 2h, width 2, rank 1,
// scale 2, h0 = (1,2), A1 = [0 1], B1 = [1 0]T, A2 = [1 0], B2 = [0 1]T. Apart,
// h1 = 2 h0 + 2 B1 A1 h0 = (6,4) and h2 = 2 h1 + 2 B2 A2 h1 = (12,20); a merged
// module reads h0 and adds to h2 alone.
func TestForward(t *testing.T) {
	for _, c := range []struct {
		name   string
		merge  func(*adapter.LoR2C)
		h1, h2 []float32
	}{
		{"none", func(*adapter.LoR2C) {}, []float32{6, 4}, []float32{12, 20}},
		{"1", func(m *adapter.LoR2C) { m.Merge(0, 1, 0) }, []float32{2, 4}, []float32{8, 8}},
		{"2", func(m *adapter.LoR2C) { m.Merge(0, 1, 1) }, []float32{2, 4}, []float32{4, 10}},
	} {
		t.Run("keep="+c.name, func(t *testing.T) {
			dev := cpu.Open[float32](1)
			param := func(shape compute.Shape, values ...float32) *tape.Param {
				p := &tape.Param{Value: dev.Alloc(shape, compute.Working)}
				dev.Upload(p.Value, values)
				return p
			}
			row, column := compute.Shape{1, 2}, compute.Shape{2, 1}
			m := adapter.NewLoR2C([]*tape.Param{param(row, 0, 1), param(row, 1, 0)},
				[]*tape.Param{param(column, 1, 0), param(column, 0, 1)}, 2)
			c.merge(m)
			double := param(compute.Shape{2, 2}, 2, 0, 0, 2)
			p := &model.Pass{Tape: &tape.Tape{Dev: dev, Train: true}}
			hook, h := m.Hook(adapter.At{}), p.Const(param(row, 1, 2).Value)
			for l, want := range [][]float32{c.h1, c.h2} {
				y := hook.Block(p, l, h, func(x *tape.Var) *tape.Var { return p.Linear(x, double, nil, compute.Identity) })
				p.Release(h)
				h = y
				if got := download(dev, h.Value); !slices.Equal(got, want) {
					t.Errorf("h%d = %v; want %v", l+1, got, want)
				}
			}
		})
	}
}
