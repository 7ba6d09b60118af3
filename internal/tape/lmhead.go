package tape

import "github.com/lor2c/lor2c/internal/compute"

// LogitRows returns for how many rows LMHead and LMLosses should compute logits at a time, for a vocabulary of v
// tokens: those of about 2^23 logits, but at least 64.
func LogitRows(v int) int { return max(64, 1<<23/v) }

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

// LMLosses adds the summed cross-entropy of the rows of each example to losses [B] Exact. Example e has the rows of h
// from ends[e-1], or 0 for the first, to ends[e]. h [N,C], w [V,C], labels [N] Int. Logits are computed for `rows` rows
// at a time, as by [Tape.LMHead].
func (t *Tape) LMLosses(losses compute.Tensor, h *Var, w *Param, labels compute.Tensor, ends []int, rows int) {
	n, c, v := h.Value.Shape.Rows(), h.Value.Shape.Cols(), w.Value.Shape[0]
	check(is(w.Value, v, c) && labels.Shape.Len() == n && rows > 0 && is(losses, len(ends)), "lm losses",
		"h [N C], w [V C], labels [N], losses [B]", h.Value, w.Value, labels, losses)
	typed("lm losses", compute.Exact, losses)
	logits := t.temp(compute.Shape{min(rows, n), v})
	example := 0
	for i := 0; i < n; i += rows {
		j := min(i+rows, n)
		y := logits.View(0, j-i)
		t.Dev.Linear(y, compute.Tensor{}, h.Value.View(i, j), w.Value, compute.Tensor{}, compute.Identity)
		for at := i; at < j; {
			for ends[example] <= at {
				example++
			}
			end := min(ends[example], j)
			t.Dev.CrossEntropy(losses.View(example, example+1), compute.Tensor{}, y.View(at-i, end-i), labels.View(at, end), 1,
				compute.CrossEntropyOpts{})
			at = end
		}
	}
	t.Dev.Release(logits)
}
