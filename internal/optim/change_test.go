package optim_test

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/optim"
	"github.com/lor2c/lor2c/internal/tape"
)

// lone is a scalar implementation of AdamW for one parameter, with its own step count.
type lone struct {
	p, m, v []float64
	steps   int
	lr      float64
}

func (l *lone) step(c optim.Config, g []float64, clip, factor float64) {
	l.steps++
	for i, x := range g {
		x *= clip
		l.m[i] = c.Beta1*l.m[i] + (1-c.Beta1)*x
		l.v[i] = c.Beta2*l.v[i] + (1-c.Beta2)*x*x
		mean := l.m[i] / (1 - math.Pow(c.Beta1, float64(l.steps)))
		square := l.v[i] / (1 - math.Pow(c.Beta2, float64(l.steps)))
		l.p[i] -= l.lr * factor * (c.WeightDecay*l.p[i] + mean/(math.Sqrt(square)+c.Eps))
	}
}

// TestChange drops, adds, resets, renames and freezes parameters between steps, and compares each parameter with a
// scalar optimizer for that parameter alone.
func TestChange(t *testing.T) {
	c := optim.Default()
	dev := cpu.Open[float64](2)
	rng := rand.New(rand.NewPCG(5, 6))
	refs := map[*tape.Param]*lone{}
	param := func(name string, rate float64, n int) *tape.Param {
		p := &tape.Param{Name: name, Value: dev.Alloc(compute.Shape{n}, compute.Working)}
		l := &lone{m: make([]float64, n), v: make([]float64, n), lr: rate}
		for i := range n {
			x := rng.NormFloat64()
			cpu.Data[float64](p.Value)[i] = x
			l.p = append(l.p, x)
		}
		refs[p] = l
		return p
	}
	a, b, d := param("a", c.LR, 15), param("b", c.LR, 7), param("d", c.LR, 4)
	head := []*tape.Param{param("h", c.LR*c.HeadLRRatio, 8)}
	loss := dev.Alloc(compute.Shape{1}, compute.Working)
	o := optim.New(dev, c, []*tape.Param{a, b, d}, head)

	steps := func(what string, n int, trained ...*tape.Param) {
		t.Helper()
		for range n {
			o.Zero()
			square, grads := 0.0, map[*tape.Param][]float64{}
			for _, p := range o.Params() {
				g := cpu.Data[float64](p.Grad)
				for i := range g {
					g[i] = rng.NormFloat64()
					square += g[i] * g[i]
				}
				grads[p] = append([]float64{}, g...)
			}
			if len(grads) != len(trained) {
				t.Fatalf("%s: %d parameters are trained; want %d", what, len(grads), len(trained))
			}
			o.Step(loss, 0.5)
			for p, g := range grads {
				refs[p].step(c, g, math.Min(1, c.MaxGradNorm/math.Sqrt(square)), 0.5)
			}
		}
		for p, l := range refs {
			for i, x := range cpu.Data[float64](p.Value) {
				if !(math.Abs(x-l.p[i]) <= 1e-13*math.Max(1, math.Abs(x))) {
					t.Fatalf("%s: %s[%d] = %v; want %v", what, p.Name, i, x, l.p[i])
				}
			}
		}
	}
	never := func(*tape.Param) bool { return false }
	start := dev.Stats().PersistentBytes
	steps("before", 3, a, b, d, head[0])

	// b survives a merge under a new name, an injected e follows it, and a is gone.
	delete(refs, a)
	e := param("e", c.LR, 9)
	b.Name = "ab"
	o.Change([]*tape.Param{b, d, e}, head, never)
	steps("dropped and added", 3, b, d, e, head[0])
	if got, want := dev.Stats().PersistentBytes-start, int64(8*4*(9-15)); got != want {
		t.Errorf("memory grew by %d bytes; want %d", got, want)
	}
	if got := o.FirstSteps(); !maps.Equal(got, map[string]int{"e": 3}) {
		t.Errorf("first steps %v; want e after step 3", got)
	}

	// d keeps its value and its moments start again.
	refs[d].m, refs[d].v, refs[d].steps = make([]float64, 4), make([]float64, 4), 0
	o.Change([]*tape.Param{b, d, e}, head, func(p *tape.Param) bool { return p == d })
	steps("reset", 2, b, d, e, head[0])

	// b is frozen and keeps its value.
	b.Frozen = true
	o.Change([]*tape.Param{b, d, e}, head, never)
	if b.Trains() {
		t.Error("a frozen parameter still takes a gradient")
	}
	steps("frozen", 2, d, e, head[0])
	if got := fmt.Sprint(o.FirstSteps()); got != "map[d:6 e:3]" {
		t.Errorf("first steps %s; want map[d:6 e:3]", got)
	}

	// SetSteps restores what FirstSteps returned.
	first := o.FirstSteps()
	o.SetSteps(o.Steps(), nil)
	o.SetSteps(o.Steps(), first)
	steps("restored", 2, d, e, head[0])
}
