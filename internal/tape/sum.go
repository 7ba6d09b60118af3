package tape

import "github.com/lor2c/lor2c/internal/compute"

// Add returns x + scale z. x, z and the result have one shape and type.
func (t *Tape) Add(x, z *Var, scale float32) *Var {
	check(is(z.Value, x.Value.Shape...), "add", "x, z [N C]", x.Value, z.Value)
	typed("add", x.Value.DType, z.Value)
	y := t.outLike("add", x, x.needs || z.needs)
	readable("add", z)
	t.Dev.Copy(y.Value, x.Value)
	t.Dev.Axpy(y.Value, scale, z.Value)
	t.watch("add", "", y)
	if y.needs {
		t.push(y, func(dy compute.Tensor) {
			t.addScaled(x, 1, dy)
			t.addScaled(z, scale, dy)
		})
	}
	return y
}

// AddTo adds scale z to y in place. Both have one shape and type. y must be the output of an op whose gradient does
// not read that output, as for LowRankUp.
func (t *Tape) AddTo(y, z *Var, scale float32) {
	check(is(z.Value, y.Value.Shape...), "add to", "y, z [N C]", y.Value, z.Value)
	typed("add to", y.Value.DType, z.Value)
	readable("add to", y, z)
	t.Dev.Axpy(y.Value, scale, z.Value)
	t.watch("add to", "", y)
	if !t.Train || !z.needs {
		return
	}
	made := y.needs
	y.needs = true
	t.back = append(t.back, entry{y: y, borrowed: made, grad: func(dy compute.Tensor) { t.addScaled(z, scale, dy) }})
}

// Copy returns a copy of x with its own memory, for an op that overwrites its operand.
func (t *Tape) Copy(x *Var) *Var {
	y := t.outLike("copy", x, x.needs)
	t.Dev.Copy(y.Value, x.Value)
	if y.needs {
		t.push(y, func(dy compute.Tensor) { t.addScaled(x, 1, dy) })
	}
	return y
}

// Zeros returns a constant of zeros [N,cols] with the rows of x, which ops that work in place can add to.
func (t *Tape) Zeros(x *Var, cols int) *Var {
	y := t.out("zeros", compute.Shape{x.Value.Shape.Rows(), cols}, false, x)
	t.Dev.Fill(y.Value, 0)
	return y
}

// outLike is like out for a result with the shape and the type of x.
func (t *Tape) outLike(op string, x *Var, needs bool) *Var {
	readable(op, x)
	return &Var{Value: t.like(x), FirstRow: x.FirstRow, needs: needs && t.Train, owned: true}
}

// addScaled adds scale g to the gradient of v, if v needs one.
func (t *Tape) addScaled(v *Var, scale float32, g compute.Tensor) {
	if !v.needs {
		return
	}
	dv, accumulate := t.gradOf(v)
	switch {
	case accumulate:
		t.Dev.Axpy(dv, scale, g)
	case scale == 1:
		t.Dev.Copy(dv, g)
	default:
		t.Dev.Fill(dv, 0)
		t.Dev.Axpy(dv, scale, g)
	}
}
