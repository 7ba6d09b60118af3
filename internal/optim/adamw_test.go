package optim_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/optim"
	"github.com/lor2c/lor2c/internal/tape"
)

// reference is AdamW with decoupled weight decay over one list of scalars
// (Loshchilov and Hutter 2019, algorithm 2), with bias-corrected moments.
type reference struct {
	optim.Config
	p, m, v, lr []float64
	steps       int
}

func (r *reference) step(g []float64, factor float64) (norm float64) {
	r.steps++
	for _, x := range g {
		norm += x * x
	}
	norm = math.Sqrt(norm)
	clip := 1.0
	if r.MaxGradNorm > 0 {
		clip = math.Min(1, r.MaxGradNorm/norm)
	}
	for i, x := range g {
		x *= clip
		r.m[i] = r.Beta1*r.m[i] + (1-r.Beta1)*x
		r.v[i] = r.Beta2*r.v[i] + (1-r.Beta2)*x*x
		mean := r.m[i] / (1 - math.Pow(r.Beta1, float64(r.steps)))
		square := r.v[i] / (1 - math.Pow(r.Beta2, float64(r.steps)))
		lr := r.lr[i] * factor
		r.p[i] -= lr*r.WeightDecay*r.p[i] + lr*mean/(math.Sqrt(square)+r.Eps)
	}
	return norm
}

// trial is an optimizer of three parameters, two of the adapter and one of the head, with the reference that it is
// compared with.
type trial struct {
	*testing.T
	dev  *cpu.Device[float64]
	opt  *optim.AdamW
	ref  reference
	loss compute.Tensor
	rng  *rand.Rand
}

func newTrial(t *testing.T, c optim.Config) *trial {
	x := &trial{T: t, dev: cpu.Open[float64](2), rng: rand.New(rand.NewPCG(3, 4))}
	x.ref.Config = c
	param := func(name string, rate float64, shape ...int) *tape.Param {
		p := &tape.Param{Name: name, Value: x.dev.Alloc(shape, compute.Working)}
		for i := range cpu.Data[float64](p.Value) {
			v := x.rng.NormFloat64()
			cpu.Data[float64](p.Value)[i] = v
			x.ref.p, x.ref.lr = append(x.ref.p, v), append(x.ref.lr, rate)
		}
		return p
	}
	adapter := []*tape.Param{param("a", c.LR, 3, 5), param("b", c.LR*1.5, 7)}
	adapter[1].LRRatio = 1.5
	head := []*tape.Param{param("h", c.LR*c.HeadLRRatio, 2, 4)}
	x.ref.m, x.ref.v = make([]float64, len(x.ref.p)), make([]float64, len(x.ref.p))
	x.loss = x.dev.Alloc(compute.Shape{1}, compute.Working)
	bytes := x.dev.Stats().PersistentBytes
	x.opt = optim.New(x.dev, c, adapter, head)
	// The values move into the buffer, and each gets a gradient and two moments.
	if got, want := x.dev.Stats().PersistentBytes-bytes, int64(8*(3*len(x.ref.p)+compute.StateLen)); got != want {
		t.Errorf("the optimizer took %d bytes; want %d", got, want)
	}
	return x
}

// step runs the optimizer and the reference on the same random gradient. Its size is such that some steps are
// clipped.
func (x *trial) step(loss, factor float64) {
	x.opt.Zero()
	var all []float64
	for _, p := range x.opt.Params() {
		g := cpu.Data[float64](p.Grad)
		for i := range g {
			if g[i] != 0 {
				x.Fatalf("Zero left %v in the gradient of %s", g[i], p.Name)
			}
			g[i] = x.rng.NormFloat64() * 0.3
		}
		all = append(all, g...)
	}
	cpu.Data[float64](x.loss)[0] = loss
	x.opt.Step(x.loss, factor)
	norm := x.ref.step(all, factor)
	if got := cpu.Data[float64](x.opt.State())[compute.StateNorm]; !(math.Abs(got-norm) <= 1e-14*norm) {
		x.Errorf("norm %v; want %v", got, norm)
	}
}

// params returns the values of all parameters, concatenated.
func (x *trial) params() (all []float64) {
	for _, p := range x.opt.Params() {
		all = append(all, cpu.Data[float64](p.Value)...)
	}
	return all
}

// moments returns the first and second moments of all parameters, each concatenated.
func (x *trial) moments() (m, v []float64) {
	for _, p := range x.opt.Moments() {
		m, v = append(m, cpu.Data[float64](p.First)...), append(v, cpu.Data[float64](p.Second)...)
	}
	return m, v
}

func (x *trial) compare(what string, got, want []float64) {
	x.Helper()
	for i := range want {
		if len(got) != len(want) || !(math.Abs(got[i]-want[i]) <= 1e-13*math.Max(1, math.Abs(want[i]))) {
			x.Errorf("%s[%d] = %v; want %v", what, i, got[i], want[i])
			return
		}
	}
}

func TestAdamW(t *testing.T) {
	base := optim.Config{LR: 0.02, HeadLRRatio: 0.25, WeightDecay: 0.1, Beta1: 0.8, Beta2: 0.95, Eps: 1e-6}
	for _, clip := range []float64{0, 1, 1.6, 100} {
		t.Run(fmt.Sprintf("max_grad_norm=%v", clip), func(t *testing.T) {
			c := base
			// The device receives the factor as a float32.
			c.MaxGradNorm = float64(float32(clip))
			x := newTrial(t, c)
			for s := range 8 {
				x.step(1, 1/float64(s+1))
			}
			x.compare("parameters", x.params(), x.ref.p)
			m, v := x.moments()
			x.compare("m", m, x.ref.m)
			x.compare("v", v, x.ref.v)
			if x.opt.Steps() != 8 {
				t.Errorf("Steps() = %d; want 8", x.opt.Steps())
			}
		})
	}
	t.Run("head_lr_ratio=0", func(t *testing.T) {
		c := base
		c.HeadLRRatio = 0
		x := newTrial(t, c)
		start := x.params()
		x.step(1, 1)
		got := x.params()
		if !slices.Equal(got[22:], start[22:]) || slices.Equal(got[:22], start[:22]) {
			t.Errorf("parameters went from %v to %v; want the head still", start, got)
		}
	})
	t.Run("group=head", func(t *testing.T) {
		// Head-only training has no adapter parameters at all.
		dev := cpu.Open[float64](1)
		p := &tape.Param{Value: dev.Alloc(compute.Shape{2}, compute.Working)}
		o := optim.New(dev, base, nil, []*tape.Param{p})
		cpu.Data[float64](p.Grad)[1] = 3
		o.Step(dev.Alloc(compute.Shape{1}, compute.Working), 1)
		// The first step is the sign of the gradient times the rate.
		if got := cpu.Data[float64](p.Value); got[0] != 0 || !(math.Abs(got[1]+0.005) < 1e-8) {
			t.Errorf("parameters %v; want 0 and -0.005", got)
		}
	})
}

// TestAdamWResumes checks that a second optimizer whose moments and steps are restored continues where the first
// stopped.
func TestAdamWResumes(t *testing.T) {
	c := optim.Default()
	x, y := newTrial(t, c), newTrial(t, c)
	for range 3 {
		x.step(1, 1)
	}
	y.rng = rand.New(rand.NewPCG(9, 9))
	x.rng = rand.New(rand.NewPCG(9, 9))
	for i, p := range x.opt.Params() {
		copy(cpu.Data[float64](y.opt.Params()[i].Value), cpu.Data[float64](p.Value))
	}
	to := y.opt.Moments()
	for i, from := range x.opt.Moments() {
		copy(cpu.Data[float64](to[i].First), cpu.Data[float64](from.First))
		copy(cpu.Data[float64](to[i].Second), cpu.Data[float64](from.Second))
	}
	y.opt.SetSteps(x.opt.Steps(), nil)
	x.step(1, 1)
	y.step(1, 1)
	if !slices.Equal(y.params(), x.params()) {
		t.Errorf("parameters %v; want %v", y.params(), x.params())
	}
}

// TestAdamWHalts checks that after a loss or gradient that is not finite the parameters no longer change, not even in
// later steps that are finite.
func TestAdamWHalts(t *testing.T) {
	for name, spoil := range map[string]func(x *trial){
		"loss=nan": func(x *trial) { x.step(math.NaN(), 1) },
		"loss=inf": func(x *trial) { x.step(math.Inf(1), 1) },
		"gradient=nan": func(x *trial) {
			cpu.Data[float64](x.opt.Params()[1].Grad)[2] = math.NaN()
			x.opt.Step(x.loss, 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			x := newTrial(t, optim.Default())
			x.step(1, 1)
			state := cpu.Data[float64](x.opt.State())
			if state[compute.StateHalted] != 0 {
				t.Fatal("halted by a finite step")
			}
			m, v := x.moments()
			before := slices.Concat(x.params(), m, v)
			spoil(x)
			x.opt.Zero()
			x.step(1, 1)
			if state[compute.StateHalted] == 0 {
				t.Error("not halted")
			}
			m, v = x.moments()
			if after := slices.Concat(x.params(), m, v); !slices.Equal(after, before) {
				t.Error("parameters or moments have changed")
			}
		})
	}
}
