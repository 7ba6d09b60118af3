// Package tape records a forward pass and plays its gradient backwards.
//
// Every op is one function that checks shapes, calls the device, and pushes the
// closure that computes its vector-Jacobian product. A value that leads to no
// trainable parameter is never differentiated, which in parameter-efficient
// fine-tuning is most of the work: no weight gradients for frozen weights, and
// nothing below the output of the lowest adapted layer.
//
// The tape also owns the step's memory: a value is returned to the arena as
// soon as neither the rest of the pass nor its gradient can read it.
package tape

import (
	"slices"

	"github.com/lor2c/lor2c/internal/compute"
)

// Var is a value of this step.
type Var struct {
	Value compute.Tensor
	// FirstRow is the index of the first row of Value within the rows of the optimizer step, which dropout masks are
	// keyed by: among all its tokens, or among the rows that were gathered in all its micro-batches.
	FirstRow int

	grad     compute.Tensor
	consumed string // the op that has stored its own values in Value's memory
	needs    bool   // Value depends on a trainable parameter
	saved    bool   // the gradient of an op reads Value
	owned    bool   // the tape frees Value
	holders  int    // calls of Retain that no Release has answered yet
}

// readBy returns the value of v as far as the gradient of p is made of it:
// absent where p takes none, when v may be gone.
func (v *Var) readBy(p *Param) compute.Tensor {
	if !p.Trains() {
		return compute.Tensor{}
	}
	return v.Value
}

// Tape is one forward pass and, in training, its gradient.
type Tape struct {
	Dev compute.Device
	// Train turns dropout and gradients on.
	Train bool
	// Seed and Step name the dropout masks; Row and Example are the packed row
	// and the example of the optimizer step at which this micro-batch begins.
	Seed         uint64
	Step         int
	Row, Example int
	// Watch, when set, is shown the output of every op: how a step that went
	// wrong is searched for the first tensor that is not finite.
	Watch func(op, name string, y compute.Tensor)

	back []entry
}

type entry struct {
	y     *Var
	grad  func(dy compute.Tensor)
	temps []compute.Tensor // what the gradient reads besides Vars
	// borrowed says that the op changed y in place and that the op that made y
	// has an entry too, which still needs y and its gradient.
	borrowed bool
}

// Mask names the dropout of one site with probability p; it drops nothing
// outside training.
func (t *Tape) Mask(site uint32, p float32, row int) compute.Dropout {
	if !t.Train {
		return compute.Dropout{}
	}
	return compute.Dropout{P: p, Key: t.Seed, Step: uint32(t.Step), Site: site, Row: uint32(row)}
}

// Const wraps a tensor of tokens' rows that takes no gradient and that the tape does not own.
func (t *Tape) Const(x compute.Tensor) *Var { return &Var{Value: x, FirstRow: t.Row} }

// Release tells the tape that the rest of the forward pass does not read vs, so that values that no gradient reads
// return to the arena. It has no effect on a value that has been released already.
func (t *Tape) Release(vs ...*Var) {
	for _, v := range vs {
		if v.holders > 0 {
			v.holders--
		} else if !v.saved {
			t.free(v)
		}
	}
}

// Retain keeps v readable until one Release more than v needs otherwise, for a method that reads a layer's value in a
// later layer.
func (t *Tape) Retain(v *Var) { v.holders++ }

func (t *Tape) free(v *Var) {
	if v.owned {
		t.Dev.Release(v.Value)
		v.owned = false
	}
}

// Backward plays the tape from its last op. The loss op has stored the gradient
// of its input, so there is nothing to seed.
func (t *Tape) Backward() {
	for i := len(t.back) - 1; i >= 0; i-- {
		e := t.back[i]
		if e.y.grad.Present() {
			e.grad(e.y.grad)
			if !e.borrowed {
				t.Dev.Release(e.y.grad)
				e.y.grad = compute.Tensor{}
			}
		}
		if !e.borrowed {
			t.free(e.y)
		}
		for _, x := range e.temps {
			t.Dev.Release(x)
		}
	}
	t.back = t.back[:0]
}

// out makes the Var of the result of op on the rows of the first of its operands xs.
func (t *Tape) out(op string, s compute.Shape, needs bool, xs ...*Var) *Var {
	readable(op, xs...)
	return &Var{Value: t.temp(s), FirstRow: xs[0].FirstRow, needs: needs && t.Train, owned: true}
}

// readable panics with a *compute.ShapeError if another op has consumed one of op's operands.
func readable(op string, xs ...*Var) {
	for _, x := range xs {
		check(x.consumed == "", op, "a value that "+x.consumed+" has not consumed", x.Value)
	}
}

// temp makes an activation or its gradient.
func (t *Tape) temp(s compute.Shape) compute.Tensor { return t.Dev.Temp(s, compute.Float) }

// full makes what a gradient goes by and what must be exact.
func (t *Tape) full(s compute.Shape) compute.Tensor { return t.Dev.Temp(s, compute.Full) }

// like makes a gradient of v.
func (t *Tape) like(v *Var) compute.Tensor { return t.Dev.Temp(v.Value.Shape, v.Value.DType) }

// push records the gradient of y; temps live until it has been computed.
func (t *Tape) push(y *Var, grad func(dy compute.Tensor), temps ...compute.Tensor) {
	t.back = append(t.back, entry{y: y, grad: grad, temps: temps})
}

// gradOf returns where the gradient of v is written, and whether to add to it.
func (t *Tape) gradOf(v *Var) (g compute.Tensor, accumulate bool) {
	if v.grad.Present() {
		return v.grad, true
	}
	v.grad = t.like(v)
	return v.grad, false
}

// into lets f overwrite the gradient of v, by way of a temporary when v has one
// already. It does nothing when v needs none.
func (t *Tape) accumulate(v *Var, f func(dv compute.Tensor)) {
	if !v.needs {
		return
	}
	g, accumulate := t.gradOf(v)
	if !accumulate {
		f(g)
		return
	}
	dv := t.like(v)
	f(dv)
	t.Dev.Axpy(g, 1, dv)
	t.Dev.Release(dv)
}

func (t *Tape) watch(op, name string, y *Var) {
	if t.Watch != nil {
		t.Watch(op, name, y.Value)
	}
}

// check panics with a *compute.ShapeError unless ok.
func check(ok bool, op, want string, got ...compute.Tensor) {
	if ok {
		return
	}
	e := &compute.ShapeError{Op: op, Want: want}
	for _, g := range got {
		e.Got = append(e.Got, g.Shape)
	}
	panic(e)
}

// is reports whether x has exactly this shape.
func is(x compute.Tensor, shape ...int) bool {
	return slices.Equal(x.Shape, shape)
}

// typed panics with a *compute.TypeError unless every present x has type d.
func typed(op string, d compute.DType, xs ...compute.Tensor) {
	for _, x := range xs {
		if x.Present() && x.DType != d {
			panic(&compute.TypeError{Op: op, Want: d, Got: x.DType, Shape: x.Shape})
		}
	}
}

// params checks that forward passes read Float and that gradients are Full.
func params(op string, ps ...*Param) {
	for _, p := range ps {
		typed(op, compute.Float, p.value())
		typed(op, compute.Full, p.grad())
	}
}
