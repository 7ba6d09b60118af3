package tape

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/cpu"
)

// gradient checks the gradient of a function of some inputs. Inputs are in
// persistent tensors. Every evaluation copies the activations among them to new
// leaves of a new tape, because an op may overwrite its operands.
type gradient struct {
	*testing.T
	dev    compute.Device
	names  []string
	values map[string]compute.Tensor
	params map[string]*Param
	frozen map[string]bool
	loss   compute.Tensor // for ops that end in one

	*Tape
	leaves map[string]*Var
}

func newGradient(t *testing.T) *gradient {
	dev := cpu.Open[float64](2)
	return &gradient{
		T: t, dev: dev, values: map[string]compute.Tensor{}, params: map[string]*Param{}, frozen: map[string]bool{},
		loss: dev.Alloc(compute.Shape{1}, compute.Exact),
	}
}

func (g *gradient) source(name string, shape ...int) compute.Tensor {
	v, ok := g.values[name]
	if !ok {
		v = g.dev.Alloc(shape, compute.Working)
		h := fnv.New64a()
		h.Write([]byte(name))
		rng := rand.New(rand.NewPCG(h.Sum64(), 1))
		for i, x := 0, cpu.Data[float64](v); i < len(x); i++ {
			x[i] = rng.NormFloat64()
		}
		g.values[name], g.names = v, append(g.names, name)
	}
	return v
}

// x returns an activation. It has a gradient unless its name is in frozen.
func (g *gradient) x(name string, shape ...int) *Var {
	v, ok := g.leaves[name]
	if !ok {
		src := g.source(name, shape...)
		v = &Var{Value: g.temp(shape), needs: !g.frozen[name], owned: true}
		g.dev.Copy(v.Value, src)
		g.leaves[name] = v
	}
	return v
}

// p returns a parameter. It is frozen if its name is in frozen.
func (g *gradient) p(name string, shape ...int) *Param {
	p, ok := g.params[name]
	if !ok {
		p = &Param{Name: name, Value: g.source(name, shape...)}
		if !g.frozen[name] {
			p.Grad = g.dev.Alloc(shape, compute.Exact)
		}
		g.params[name] = p
	}
	return p
}

func (g *gradient) ints(v ...int32) compute.Tensor {
	x := g.dev.Temp(compute.Shape{len(v)}, compute.Int)
	g.dev.UploadInts(x, v)
	return x
}

// run evaluates f on a new tape. The objective is the loss plus the product of
// the result, if f has one, with fixed weights.
func (g *gradient) run(f func(g *gradient) *Var) (objective float64, y *Var) {
	g.dev.Reset()
	g.dev.Fill(g.loss, 0)
	g.Tape, g.leaves = &Tape{Dev: g.dev, Train: true, Seed: 5, Step: 3}, map[string]*Var{}
	y = f(g)
	objective = cpu.Data[float64](g.loss)[0]
	if y != nil {
		for i, v := range cpu.Data[float64](y.Value) {
			objective += weight(i) * v
		}
	}
	return objective, y
}

// weight is dL/dy of element i of a result.
func weight(i int) float64 { return math.Sin(1.7*float64(i) + 0.3) }

// check compares every element of every gradient of f with the five-point stencil. Inputs named in frozen must not
// get a gradient.
func (g *gradient) check(f func(g *gradient) *Var, frozen ...string) {
	g.Helper()
	for _, name := range frozen {
		g.frozen[name] = true
	}
	_, y := g.run(f)
	if y != nil {
		y.grad = g.temp(y.Value.Shape)
		for i, d := 0, cpu.Data[float64](y.grad); i < len(d); i++ {
			d[i] = weight(i)
		}
	}
	g.Backward()
	got := map[string][]float64{}
	for _, name := range g.names {
		d := g.params[name].grad()
		if v := g.leaves[name]; v != nil {
			d = v.grad
		}
		if d.Present() == g.frozen[name] {
			g.Fatalf("gradient of %s: present is %v, frozen is %v", name, d.Present(), g.frozen[name])
		}
		got[name] = slices.Clone(cpu.Data[float64](d))
	}
	if err := g.dev.Err(); err != nil {
		g.Fatal(err)
	}
	for _, name := range g.names {
		if !g.frozen[name] {
			g.compare(name, got[name], f)
		}
	}
}

func (g *gradient) compare(name string, got []float64, f func(g *gradient) *Var) {
	g.Helper()
	const h = 1.0 / 8192
	x := cpu.Data[float64](g.values[name])
	size := 1.0
	for _, d := range got {
		size = max(size, math.Abs(d))
	}
	for i, start := range x {
		at := func(step float64) float64 {
			x[i] = start + step*h
			objective, _ := g.run(f)
			x[i] = start
			return objective
		}
		// The comparison is written so that NaN fails.
		near := func(want float64) bool { return math.Abs(got[i]-want) <= 1e-8*size }
		one := at(1) - at(-1)
		want := one / (2 * h)
		if !near(want) { // with an error of the fourth order in h instead of the second
			want = (8*one - (at(2) - at(-2))) / (12 * h)
		}
		if !near(want) {
			g.Errorf("gradient of %s[%d] = %v; want %v", name, i, got[i], want)
			return
		}
	}
}
