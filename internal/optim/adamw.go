// Package optim contains the optimizer, which is AdamW with global-norm
// clipping over one flat buffer, and the learning rate over a run.
package optim

import (
	"math"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/tape"
)

// AdamW updates all trainable parameters of a run. They are stored contiguously in one buffer, so that a step takes one
// norm over the buffer and one update per parameter group.
type AdamW struct {
	dev    compute.Device
	config Config
	flat
	state  compute.Tensor // [compute.StateLen]
	slots  []slot         // one per parameter, in the order of the buffer
	groups []group
	steps  int
}

// flat has one buffer [n] each for the parameters (p), their gradients (g) and their first and second moments (m, v),
// all Exact. On a device whose Working is narrower than Exact, w is the copy in Working that forward passes read.
type flat struct{ p, w, g, m, v compute.Tensor }

// slot describes one parameter: its offset in the buffer, the ratio of its learning rate to the base rate, and the
// number of steps that had been done before it was added.
type slot struct {
	*tape.Param
	offset int
	ratio  float64
	added  int
}

// group is a range [from, to) of the buffer whose parameters share a learning rate and a number of steps.
type group struct {
	from, to int
	ratio    float64
	added    int
}

// New returns an optimizer for the parameters of the adapter and the head that are not frozen. It moves their values
// into its buffer and gives them gradients there, which makes them trainable. On a device whose Working is narrower
// than Exact it also keeps the copy in Working that forward passes read. Frozen parameters are not moved.
func New(dev compute.Device, c Config, adapter, head []*tape.Param) *AdamW {
	o := &AdamW{dev: dev, config: c, state: dev.Alloc(compute.Shape{compute.StateLen}, compute.Exact)}
	o.layout(adapter, head)
	for _, s := range o.slots {
		o.insert(s)
	}
	return o
}

// layout allocates new buffers and assigns every trainable parameter its offset in them.
func (o *AdamW) layout(adapter, head []*tape.Param) {
	n := 0
	o.slots = nil
	add := func(params []*tape.Param, ratio float64) {
		for _, p := range params {
			if !p.Frozen {
				s := slot{p, n, ratio, o.steps}
				if p.LRRatio != 0 {
					s.ratio *= p.LRRatio
				}
				o.slots = append(o.slots, s)
				n += p.Value.Shape.Len()
			}
		}
	}
	add(adapter, 1)
	add(head, o.config.HeadLRRatio)
	buffer := func(d compute.DType) compute.Tensor { return o.dev.Alloc(compute.Shape{n}, d) }
	o.flat = flat{p: buffer(compute.Exact), g: buffer(compute.Exact), m: buffer(compute.Exact), v: buffer(compute.Exact)}
	if compute.Narrow(o.dev) {
		o.w = buffer(compute.Working)
	}
	o.group()
}

// group combines neighbouring parameters that share a learning rate and a number of steps.
func (o *AdamW) group() {
	o.groups = nil
	for _, s := range o.slots {
		end := s.offset + s.Value.Shape.Len()
		if n := len(o.groups); n > 0 && o.groups[n-1].ratio == s.ratio && o.groups[n-1].added == s.added {
			o.groups[n-1].to = end
			continue
		}
		o.groups = append(o.groups, group{s.offset, end, s.ratio, s.added})
	}
}

// insert moves a parameter from the tensors that it was allocated with into the buffer, and frees those tensors.
func (o *AdamW) insert(s slot) {
	value, master := s.Value, s.Master
	o.store(s, s.Exact())
	o.free(value, master)
}

// free frees those of xs that exist.
func (o *AdamW) free(xs ...compute.Tensor) {
	for _, x := range xs {
		if x.Present() {
			o.dev.Free(x)
		}
	}
}

// store copies the exact value `from` to the parameter's place in the buffer and makes the parameter's tensors views
// of the buffer.
func (o *AdamW) store(s slot, from compute.Tensor) {
	shape := s.Value.Shape
	exact := o.p.Slice(s.offset, shape)
	o.dev.Copy(exact, from)
	s.Grad = o.g.Slice(s.offset, shape)
	s.Storage = compute.Working
	if !o.w.Present() {
		exact.DType = compute.Working // Working and Exact are the same type on this device
		s.Value = exact
		return
	}
	s.Master, s.Value = exact, o.w.Slice(s.offset, shape)
	o.dev.Copy(s.Value, exact)
}

// remove copies a parameter from the buffer to newly allocated tensors and takes its gradient away.
func (o *AdamW) remove(p *tape.Param) {
	own := func(x compute.Tensor) compute.Tensor {
		if !x.Present() {
			return x
		}
		y := o.dev.Alloc(x.Shape, x.DType)
		o.dev.Copy(y, x)
		return y
	}
	p.Value, p.Master, p.Grad = own(p.Value), own(p.Master), compute.Tensor{}
}

// Change updates the optimizer after a method has changed its structure. Parameters that it had keep their values,
// moments and number of updates; new parameters start with none, as do those for which reset returns true. Parameters
// that are frozen now keep their values. All of it happens on the device.
func (o *AdamW) Change(adapter, head []*tape.Param, reset func(*tape.Param) bool) {
	before, old := map[*tape.Param]slot{}, o.flat
	for _, s := range o.slots {
		before[s.Param] = s
	}
	o.layout(adapter, head)
	for i, s := range o.slots {
		was, known := before[s.Param]
		if !known {
			o.insert(s)
			continue
		}
		if !reset(s.Param) {
			o.slots[i].added = was.added
			o.dev.Copy(o.m.Slice(s.offset, s.Value.Shape), old.m.Slice(was.offset, s.Value.Shape))
			o.dev.Copy(o.v.Slice(s.offset, s.Value.Shape), old.v.Slice(was.offset, s.Value.Shape))
		}
		o.store(s, s.Exact())
	}
	for _, p := range adapter {
		if _, known := before[p]; known && p.Frozen {
			o.remove(p)
		}
	}
	o.free(old.p, old.w, old.g, old.m, old.v)
	o.group()
}

// Gradient returns the gradient of all parameters that are updated, [n] Exact.
func (o *AdamW) Gradient() compute.Tensor { return o.g }

// Zero sets the gradient to zero. A step begins with it.
func (o *AdamW) Zero() { o.dev.Fill(o.g, 0) }

// Step clips the gradient by its global norm and updates every parameter with factor times its learning rate. loss
// [1] is the loss of the step. If the loss or the norm is not finite, neither this step nor any later one updates the
// parameters.
func (o *AdamW) Step(loss compute.Tensor, factor float64) {
	o.steps++
	o.dev.GradNorm(o.state, o.g, loss, float32(o.config.MaxGradNorm))
	for _, g := range o.groups {
		part := func(x compute.Tensor) compute.Tensor {
			if !x.Present() {
				return x
			}
			return x.View(g.from, g.to)
		}
		o.dev.AdamW(part(o.p), part(o.w), part(o.m), part(o.v), part(o.g), o.state, compute.AdamWOpts{
			LR: o.config.LR * g.ratio * factor, Beta1: o.config.Beta1, Beta2: o.config.Beta2, Eps: o.config.Eps,
			WeightDecay: o.config.WeightDecay, Step: o.steps - g.added,
		})
	}
}

// State returns the tensor [compute.StateLen] that GradNorm wrote in the last Step.
func (o *AdamW) State() compute.Tensor { return o.state }

// Params returns the parameters that are updated: the adapter's, then the head's.
func (o *AdamW) Params() []*tape.Param {
	params := make([]*tape.Param, len(o.slots))
	for i, s := range o.slots {
		params[i] = s.Param
	}
	return params
}

// Moments are a parameter with its first and second moments, which have its shape and are Exact.
type Moments struct {
	*tape.Param
	First, Second compute.Tensor
}

// Moments returns the moments of all parameters in the order of Params.
func (o *AdamW) Moments() []Moments {
	list := make([]Moments, len(o.slots))
	for i, s := range o.slots {
		list[i] = Moments{s.Param, o.m.Slice(s.offset, s.Value.Shape), o.v.Slice(s.offset, s.Value.Shape)}
	}
	return list
}

// Reach returns by how much the step just taken, with factor times the learning rate, would have changed the elements
// of parameter i of Params in exact arithmetic: the largest such change, in units of the distance from the element to
// the next float32. If it is above 1 the parameter must have changed. value, m and v are the parameter's value and
// moments after the step.
func (o *AdamW) Reach(i int, factor float64, value, m, v []float32) (most float64) {
	s, c := o.slots[i], o.config
	lr, age := c.LR*s.ratio*factor, float64(o.steps-s.added)
	first, second := 1-math.Pow(c.Beta1, age), 1-math.Pow(c.Beta2, age)
	for j, w := range value {
		change := math.Abs(float64(m[j]))/first/(math.Sqrt(float64(v[j])/second)+c.Eps) - c.WeightDecay*math.Abs(float64(w))
		size := float32(math.Abs(float64(w)))
		gap := float64(math.Nextafter32(size, math.MaxFloat32) - size)
		most = max(most, lr*change/gap)
	}
	return most
}

// Steps returns the number of updates so far.
func (o *AdamW) Steps() int { return o.steps }

// FirstSteps returns, for every parameter that was added during the run, the number of steps that had been done before
// it was added, keyed by name.
func (o *AdamW) FirstSteps() map[string]int {
	first := map[string]int{}
	for _, s := range o.slots {
		if s.added > 0 {
			first[s.Name] = s.added
		}
	}
	return first
}

// SetSteps restores the number of updates and the result of FirstSteps from a checkpoint.
func (o *AdamW) SetSteps(n int, first map[string]int) {
	o.steps = n
	for i, s := range o.slots {
		o.slots[i].added = first[s.Name]
	}
	o.group()
}
