package tape

import "github.com/lor2c/lor2c/internal/compute"

// Softmax returns the softmax of the rows of x. x, y [N,E] Exact.
func (t *Tape) Softmax(x *Var) *Var {
	typed("softmax", compute.Exact, x.Value)
	y := t.outLike("softmax", x, x.needs)
	t.Dev.Softmax(y.Value, x.Value)
	t.watch("softmax", "", y)
	if y.needs {
		y.saved = true
		t.push(y, func(dy compute.Tensor) {
			t.accumulate(x, func(dx compute.Tensor) { t.Dev.SoftmaxGrad(dx, y.Value, dy) })
		})
	}
	return y
}

// Gate returns the ranks u once for each of E experts, times its weight; see compute.Methods. w [N,E], u [N,R],
// result [N,E R], all Exact.
func (t *Tape) Gate(w, u *Var) *Var {
	n, e, cols := w.Value.Shape.Rows(), w.Value.Shape.Cols(), u.Value.Shape.Cols()
	check(u.Value.Shape.Rows() == n, "gate", "w [N E], u [N R]", w.Value, u.Value)
	return t.gate(w, u, compute.Shape{n, e * cols})
}

// GateEach is Gate for experts that have their own ranks: u [N,E R], and so has the result.
func (t *Tape) GateEach(w, u *Var) *Var {
	n, e, cols := w.Value.Shape.Rows(), w.Value.Shape.Cols(), u.Value.Shape.Cols()
	check(u.Value.Shape.Rows() == n && cols%e == 0, "gate each", "w [N E], u [N E R]", w.Value, u.Value)
	return t.gate(w, u, compute.Shape{n, cols})
}

func (t *Tape) gate(w, u *Var, s compute.Shape) *Var {
	typed("gate", compute.Exact, w.Value, u.Value)
	readable("gate", w, u)
	z := &Var{Value: t.exact(s), FirstRow: u.FirstRow, needs: t.Train && (w.needs || u.needs), owned: true}
	t.Dev.Gate(z.Value, w.Value, u.Value)
	t.watch("gate", "", z)
	if !z.needs {
		return z
	}
	w.saved, u.saved = true, true
	t.push(z, func(dz compute.Tensor) {
		t.addGrads(w, u, func(dw, du compute.Tensor) { t.Dev.GateGrad(dw, du, w.Value, u.Value, dz) })
	})
	return z
}
