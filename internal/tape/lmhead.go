package tape

import "github.com/lor2c/lor2c/internal/compute"

// LMHead adds scale times the summed cross-entropy of the logits h WT against labels [N] Int to loss [1]. Backward
// then starts from it. h [N,C], w [V,C]. A row whose label is below 0 has no loss and no gradient. o weights rows [N]
// and classes [V].
//
// Logits are computed for `rows` tokens at a time, in one buffer that their gradient overwrites. The logits of a
// whole batch would be the largest tensor of a step.
func (t *Tape) LMHead(
	loss compute.Tensor, h *Var, w *Param, labels compute.Tensor, scale float32, rows int, o compute.CrossEntropyOpts,
) {
	n, c, v := h.Value.Shape.Rows(), h.Value.Shape.Cols(), w.Value.Shape[0]
	check(is(w.Value, v, c) && labels.Shape.Len() == n && rows > 0 &&
		absentOr(o.Rows, n) && absentOr(o.Classes, v), "lm head",
		"h [N C], w [V C], labels [N], row weights [N], class weights [V]", h.Value, w.Value, labels, o.Rows, o.Classes)
	logits, dh := t.temp(compute.Shape{min(rows, n), v}), t.lossGrad(h)
	for i := 0; i < n; i += rows {
		j := min(i+rows, n)
		x, y := h.Value.View(i, j), logits.View(0, j-i)
		t.Dev.Linear(y, compute.Tensor{}, x, w.Value, compute.Tensor{}, compute.Identity)
		var dy compute.Tensor
		if t.Train && (h.needs || w.Trains()) {
			dy = y
		}
		part := o
		if o.Rows.Present() {
			part.Rows = o.Rows.View(i, j)
		}
		t.Dev.CrossEntropy(loss, dy, y, labels.View(i, j), scale, part)
		if h.needs {
			t.Dev.Gemm(dh.View(i, j), 1, dy, false, w.Value, false, false)
		}
		if dy.Present() && w.Trains() {
			t.Dev.Gemm(w.Grad, 1, dy, true, x, false, true)
		}
	}
	t.Dev.Release(logits)
}
