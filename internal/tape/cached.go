package tape

import "github.com/lor2c/lor2c/internal/compute"

// CachedAttention returns the causal attention of the new rows of sequences to all keys of each sequence. q, y [N,H*D].
// k, v [P*compute.BlockRows,HKV*D] are the blocks that o.Table lists. It has no gradient and must not be used in
// training.
func (t *Tape) CachedAttention(q *Var, k, v compute.Tensor, o compute.AttnOpts) *Var {
	n, sequences := q.Value.Shape.Rows(), o.CuQ.Shape.Len()-1
	check(is(q.Value, n, o.Heads*o.HeadDim) && is(k, k.Shape.Rows(), o.KVHeads*o.HeadDim) && is(v, k.Shape...) &&
		o.CuK.Shape.Len() == sequences+1 && len(o.Table.Shape) == 2 && o.Table.Shape[0] == sequences && !t.Train,
		"cached attention", "q [N H*D], k, v [P*64 HKV*D], cu_seqlens [B+1], a table [B W], outside of training",
		q.Value, k, v, o.CuQ, o.CuK, o.Table)
	y := t.out("cached attention", q.Value.Shape, false, q)
	lse := t.exact(compute.Shape{n, o.Heads})
	o.Causal = true
	t.Dev.Attention(y.Value, lse, q.Value, k, v, o)
	t.watch("cached attention", "", y)
	t.Dev.Release(lse)
	return y
}

// Put copies row n of x [N,C] to row idx[n] of dst, which outlives the pass. idx [N] Int has no row twice. It has no
// gradient.
func (t *Tape) Put(dst, idx compute.Tensor, x *Var) {
	check(is(dst, dst.Shape.Rows(), x.Value.Shape.Cols()) && idx.Shape.Len() == x.Value.Shape.Rows(), "put",
		"dst [P C], idx [N], x [N C]", dst, idx, x.Value)
	readable("put", x)
	t.Dev.Put(dst, idx, x.Value)
}
