package tape

import "github.com/lor2c/lor2c/internal/compute"

// SymmetricKL adds scale/2 times the symmetric divergence of the softmaxes of x and z to loss [1]; see
// compute.Methods. x, z [B,C]. It adds to the gradients of x and z, so it must follow the loss of the task.
func (t *Tape) SymmetricKL(loss compute.Tensor, x, z *Var, scale float32, detach bool) {
	check(is(z.Value, x.Value.Shape...), "symmetric KL", "x, z [B C]", x.Value, z.Value)
	typed("symmetric KL", compute.Exact, loss)
	readable("symmetric KL", x, z)
	t.addGrads(x, z, func(dx, dz compute.Tensor) {
		t.Dev.SymmetricKL(loss, dx, dz, x.Value, z.Value, scale, detach)
	})
}

// Balance adds scale times the squared coefficient of variation of the load of experts to loss [1]; see
// compute.Methods. The load of expert e in sequence s is the sum of w[n,e] over the rows n with sequence[n] = s, times
// factors[s,e]. w [N,E] Exact, sequence [N] Int, factors [B,E] Exact.
func (t *Tape) Balance(loss compute.Tensor, w *Var, sequence, factors compute.Tensor, scale float32) {
	n, e := w.Value.Shape.Rows(), w.Value.Shape.Cols()
	check(sequence.Shape.Len() == n && factors.Shape.Cols() == e, "balance", "w [N E], sequence [N], factors [B E]",
		w.Value, sequence, factors)
	typed("balance", compute.Exact, loss, w.Value, factors)
	typed("balance", compute.Int, sequence)
	readable("balance", w)
	q := t.exact(factors.Shape)
	t.Dev.Fill(q, 0)
	t.Dev.Scatter(q, sequence, w.Value)
	var dq compute.Tensor
	if w.needs {
		dq = t.exact(factors.Shape)
	}
	t.Dev.Balance(loss, dq, q, factors, scale)
	t.accumulate(w, func(dw compute.Tensor) { t.Dev.Gather(dw, dq, sequence) })
	for _, x := range append(present(dq), q) {
		t.Dev.Release(x)
	}
}
