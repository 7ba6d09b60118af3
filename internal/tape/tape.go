// Package tape records a forward pass and computes its gradient in reverse.
//
// Every op is one function that checks shapes, calls the device, and pushes the
// closure that computes its vector-Jacobian product. A value that does not
// depend on a trainable parameter is never differentiated. In
// parameter-efficient fine-tuning this saves most of the work: no weight
// gradients are computed for frozen weights, and nothing below the output of
// the lowest adapted layer.
//
// The tape also manages the memory of a step: a value is returned to the arena
// as soon as neither the rest of the pass nor its gradient can read it.
package tape

import (
	"slices"

	"github.com/lor2c/lor2c/internal/compute"
)

// Var is a value of this step.
type Var struct {
	Value compute.Tensor
	// FirstRow is the index of the first row of Value within the rows of the optimizer step, by which dropout masks
	// are keyed. The rows are all tokens of the step, or those that were gathered in all its micro-batches.
	FirstRow int

	grad     compute.Tensor
	consumed string // the op that has stored its own values in Value's memory
	needs    bool   // Value depends on a trainable parameter
	saved    bool   // the gradient of an op reads Value
	owned    bool   // the tape must free Value
	holders  int    // calls of Retain without a matching Release so far
}

// readBy returns the value of v if the gradient of p is computed from it. It returns an absent tensor if p has no
// gradient, because v may have been released by then.
func (v *Var) readBy(p *Param) compute.Tensor {
	if !p.Trains() {
		return compute.Tensor{}
	}
	return v.Value
}

// Tape is one forward pass and, in training, its gradient.
type Tape struct {
	Dev compute.Device
	// Train enables dropout and gradients.
	Train bool
	// Seed and Step select the dropout masks. Row and Read are the index of the first packed row and of the first row
	// that is read of this micro-batch within the optimizer step.
	Seed      uint64
	Step      int
	Row, Read int
	// Watch, if it is set, is called with the output of every op. It is used to find the first tensor that is not
	// finite in a step that failed.
	Watch func(op, name string, y compute.Tensor)

	back []entry
}

type entry struct {
	y     *Var
	grad  func(dy compute.Tensor)
	temps []compute.Tensor // tensors that the gradient reads besides Vars
	// borrowed means that the op changed y in place and that the op that made y has an entry too, which still needs y
	// and its gradient.
	borrowed bool
}

// Mask returns the dropout of one site with probability p. Outside of training it drops nothing.
func (t *Tape) Mask(site uint32, p float32, row int) compute.Dropout {
	if !t.Train {
		return compute.Dropout{}
	}
	return compute.Dropout{P: p, Key: t.Seed, Step: uint32(t.Step), Site: site, Row: uint32(row)}
}

// Const wraps a tensor with one row per token that has no gradient and that the tape does not own.
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

// Retain makes v need one more Release before its memory can be reused. A method that reads a layer's value in a
// later layer calls it.
func (t *Tape) Retain(v *Var) { v.holders++ }

func (t *Tape) free(v *Var) {
	if v.owned {
		t.Dev.Release(v.Value)
		v.owned = false
	}
}

// Backward computes all gradients, from the last op to the first. The loss op has already stored the gradient of its
// input, so Backward needs no initial gradient.
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

// out returns a Var for the result of op. Its rows are those of the first of its operands xs.
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

// temp allocates an activation or the gradient of one.
func (t *Tape) temp(s compute.Shape) compute.Tensor { return t.Dev.Temp(s, compute.Working) }

// exact allocates a tensor that must be exact, such as the statistics that a gradient is computed from.
func (t *Tape) exact(s compute.Shape) compute.Tensor { return t.Dev.Temp(s, compute.Exact) }

// like allocates a gradient for v.
func (t *Tape) like(v *Var) compute.Tensor { return t.Dev.Temp(v.Value.Shape, v.Value.DType) }

// push records the function that computes gradients from the gradient of y. temps live until it has run.
func (t *Tape) push(y *Var, grad func(dy compute.Tensor), temps ...compute.Tensor) {
	t.back = append(t.back, entry{y: y, grad: grad, temps: temps})
}

// gradOf returns the tensor that the gradient of v is written to, and whether the writer must add to it.
func (t *Tape) gradOf(v *Var) (g compute.Tensor, accumulate bool) {
	if v.grad.Present() {
		return v.grad, true
	}
	v.grad = t.like(v)
	return v.grad, false
}

// accumulate adds to the gradient of v the tensor that f overwrites its argument with. If v has no gradient yet, f
// writes to it directly. If v needs no gradient, accumulate does nothing.
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

// check panics with a *compute.ShapeError unless ok is true.
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

// is reports whether x has exactly the given shape.
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

// params panics with a *compute.TypeError unless the values of ps are Working and their gradients Exact.
func params(op string, ps ...*Param) {
	for _, p := range ps {
		typed(op, compute.Working, p.value())
		typed(op, compute.Exact, p.grad())
	}
}
