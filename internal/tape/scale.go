package tape

import "github.com/lor2c/lor2c/internal/compute"

// ScaleCols returns y with y[n,c] = x[n,c] v[c]. o can add a constant factor
// and a constant about which columns are scaled; see compute.ScaleOpts. x and y
// [N,C] have the same type; v [C].
func (t *Tape) ScaleCols(x *Var, v *Param, o compute.ScaleOpts) *Var {
	checkScale("scale columns", x, v, o)
	y := t.outLike("scale columns", x, x.needs || v.Trains())
	t.Dev.ScaleCols(y.Value, x.Value, v.Value, o)
	t.watch("scale columns", v.Name, y)
	if !y.needs {
		return y
	}
	x.saved = x.saved || v.Trains()
	t.push(y, func(dy compute.Tensor) {
		scale := func(dx compute.Tensor) { t.Dev.ScaleColsGrad(dx, v.grad(), x.readBy(v), v.Value, dy, o) }
		if !x.needs {
			scale(compute.Tensor{})
		}
		t.accumulate(x, scale)
	})
	return y
}

// Rescale multiplies column c of y by v[c] in place. o can add a constant
// factor and a constant about which columns are scaled; see compute.ScaleOpts.
// y [N,C], v [C]. No gradient may read the previous value of y: neither that of
// the op that made y nor that of an op that read it. So y must be the output of
// a norm, of LowRankDown or of Linear without an activation.
func (t *Tape) Rescale(y *Var, v *Param, o compute.ScaleOpts) {
	checkScale("rescale", y, v, o)
	readable("rescale", y)
	check(!y.saved, "rescale", "a value that no gradient reads", y.Value)
	if !t.Train || !v.Trains() {
		t.Dev.ScaleCols(y.Value, y.Value, v.Value, o)
		t.watch("rescale", v.Name, y)
		if y.needs {
			t.back = append(t.back, entry{y: y, borrowed: true, grad: func(dy compute.Tensor) {
				t.Dev.ScaleColsGrad(dy, compute.Tensor{}, compute.Tensor{}, v.Value, dy, o)
			}})
		}
		return
	}
	// The gradient of v is computed from the value that y had, so the new one has its own memory.
	x, owned, made := y.Value, y.owned, y.needs
	y.Value, y.owned, y.needs = t.like(y), true, true
	t.Dev.ScaleCols(y.Value, x, v.Value, o)
	t.watch("rescale", v.Name, y)
	e := entry{y: y, borrowed: made, grad: func(dy compute.Tensor) {
		t.Dev.ScaleColsGrad(compute.Tensor{}, v.grad(), x, v.Value, dy, o)
		if made {
			t.Dev.ScaleColsGrad(dy, compute.Tensor{}, compute.Tensor{}, v.Value, dy, o)
		}
	}}
	if owned {
		e.temps = []compute.Tensor{x}
	}
	t.back = append(t.back, e)
}

func checkScale(op string, x *Var, v *Param, o compute.ScaleOpts) {
	c := x.Value.Shape.Cols()
	check(is(v.Value, c) && absentOr(o.Times, c) && absentOr(o.About, c), op, "x [N C], v [C], times [C], about [C]",
		x.Value, v.Value, o.Times, o.About)
	params(op, v)
	typed(op, compute.Exact, o.Times)
	typed(op, compute.Working, o.About)
}
