// Package optim holds the optimizer: AdamW with global-norm clipping over one
// flat buffer, and the learning rate over a run.
package optim

import (
	"lor2c/internal/compute"
	"lor2c/internal/tape"
)

// AdamW updates the trainable parameters of a run, which live one behind the
// other in one buffer: a step is one norm over the whole and one update a
// group, however many parameters there are.
type AdamW struct {
	dev        compute.Device
	config     Config
	p, g, m, v compute.Tensor // [n]
	state      compute.Tensor // [compute.StateLen]
	groups     []group
	params     []*tape.Param
	steps      int
}

// group is a range of the buffer with one learning rate.
type group struct {
	from, to int
	ratio    float64 // to the base learning rate
}

// New moves the values of the adapter's and the head's parameters into one
// buffer, gives them gradients there, and so makes them trainable.
func New(dev compute.Device, c Config, adapter, head []*tape.Param) *AdamW {
	o := &AdamW{dev: dev, config: c}
	n := 0
	add := func(params []*tape.Param, ratio float64) {
		from := n
		for _, p := range params {
			n += p.Value.Shape.Len()
		}
		if n > from {
			o.groups = append(o.groups, group{from, n, ratio})
		}
		o.params = append(o.params, params...)
	}
	add(adapter, 1)
	add(head, c.HeadLRRatio)
	flat := func() compute.Tensor { return dev.Alloc(compute.Shape{n}, compute.Float) }
	o.p, o.g, o.m, o.v = flat(), flat(), flat(), flat()
	o.state = dev.Alloc(compute.Shape{compute.StateLen}, compute.Float)
	at := 0
	for _, p := range o.params {
		value := o.p.Slice(at, p.Value.Shape)
		dev.Copy(value, p.Value)
		dev.Free(p.Value)
		p.Value, p.Grad = value, o.g.Slice(at, p.Value.Shape)
		at += p.Value.Shape.Len()
	}
	return o
}

// Zero clears the gradient: the start of a step.
func (o *AdamW) Zero() { o.dev.Fill(o.g, 0) }

// Step clips the gradient by its global norm and updates every parameter at
// factor times its learning rate. loss [1] is the step's; when it or the norm
// is not finite, nothing is updated from here on.
func (o *AdamW) Step(loss compute.Tensor, factor float64) {
	o.steps++
	o.dev.GradNorm(o.state, o.g, loss, float32(o.config.MaxGradNorm))
	for _, g := range o.groups {
		part := func(x compute.Tensor) compute.Tensor { return x.View(g.from, g.to) }
		o.dev.AdamW(part(o.p), part(o.m), part(o.v), part(o.g), o.state, compute.AdamWOpts{
			LR: o.config.LR * g.ratio * factor, Beta1: o.config.Beta1, Beta2: o.config.Beta2, Eps: o.config.Eps,
			WeightDecay: o.config.WeightDecay, Step: o.steps,
		})
	}
}

// State is the tensor [compute.StateLen] that GradNorm of the last Step wrote.
func (o *AdamW) State() compute.Tensor { return o.state }

// Params lists what is updated: the adapter's parameters, then the head's.
func (o *AdamW) Params() []*tape.Param { return o.params }

// Moments returns the first and second moments of all parameters in the order
// of Params, each [n].
func (o *AdamW) Moments() (m, v compute.Tensor) { return o.m, o.v }

// Steps returns how many updates there were, and SetSteps restores it.
func (o *AdamW) Steps() int { return o.steps }

// SetSteps restores the number of updates from a checkpoint.
func (o *AdamW) SetSteps(n int) { o.steps = n }
