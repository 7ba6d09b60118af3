package tape

import "github.com/lor2c/lor2c/internal/compute"

// RoPE rotates the pairs of every head of x by the angles that table has for the positions of its rows, in place; see
// compute.Attention. x [N,H*D], pos [N] Int, table [P,D] Exact. x must be the output of an op whose gradient does not
// read that output, such as Linear without an activation, and no other op may have read x before.
func (t *Tape) RoPE(x *Var, pos, table compute.Tensor) {
	n, c, headDim := x.Value.Shape.Rows(), x.Value.Shape.Cols(), table.Shape.Cols()
	check(
		pos.Shape.Len() == n && headDim > 0 && headDim%2 == 0 && c%headDim == 0, "rope",
		"x [N H*D], D even, pos [N], table [P D]", x.Value, pos, table,
	)
	typed("rope", compute.Int, pos)
	typed("rope", compute.Exact, table)
	readable("rope", x)
	t.Dev.RoPE(x.Value, pos, table, false)
	t.watch("rope", "", x)
	if x.needs {
		t.back = append(t.back, entry{y: x, borrowed: true, grad: func(dx compute.Tensor) {
			t.Dev.RoPE(dx, pos, table, true)
		}})
	}
}

// SwiGLU returns silu(gate) up. gate, up, y [N,C].
func (t *Tape) SwiGLU(gate, up *Var) *Var {
	check(is(up.Value, gate.Value.Shape...), "swiglu", "gate [N C], up [N C]", gate.Value, up.Value)
	y := t.out("swiglu", gate.Value.Shape, gate.needs || up.needs, gate, up)
	t.Dev.SwiGLU(y.Value, gate.Value, up.Value)
	t.watch("swiglu", "", y)
	if !y.needs {
		return y
	}
	gate.saved, up.saved = true, true
	t.push(y, func(dy compute.Tensor) {
		t.addGrads(gate, up, func(dgate, dup compute.Tensor) {
			t.Dev.SwiGLUGrad(dgate, dup, gate.Value, up.Value, dy)
		})
	})
	return y
}
