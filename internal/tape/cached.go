package tape

import "github.com/lor2c/lor2c/internal/compute"

// Cached is one sequence of a pass over new tokens whose earlier keys and values are in memory that outlives the pass.
type Cached struct {
	From, To int            // its rows in the queries
	K, V     compute.Tensor // [T,HKV*D]: all keys and values up to the last new row
	CuQ, CuK compute.Tensor // [2] Int: 0 and the number of rows, of keys
}

// CachedAttention returns the attention of the new rows of each sequence to all keys of that sequence, causally. q, y
// [N,H*D]. It has no gradient and must not be used in training. o describes the heads; its lengths are ignored.
//
// Each sequence is a call of its own, so that its result does not depend on the others.
func (t *Tape) CachedAttention(q *Var, sequences []Cached, o compute.AttnOpts) *Var {
	n := q.Value.Shape.Rows()
	check(is(q.Value, n, o.Heads*o.HeadDim) && !t.Train, "cached attention", "q [N H*D], outside of training", q.Value)
	y := t.out("cached attention", q.Value.Shape, false, q)
	lse := t.exact(compute.Shape{n, o.Heads})
	o.Causal = true
	for _, s := range sequences {
		check(is(s.K, s.K.Shape.Rows(), o.KVHeads*o.HeadDim) && is(s.V, s.K.Shape...), "cached attention",
			"k, v [T HKV*D]", s.K, s.V)
		o.CuQ, o.CuK, o.MaxQ, o.MaxK = s.CuQ, s.CuK, s.To-s.From, s.K.Shape.Rows()
		t.Dev.Attention(y.Value.View(s.From, s.To), lse.View(s.From, s.To), q.Value.View(s.From, s.To), s.K, s.V, o)
	}
	t.watch("cached attention", "", y)
	t.Dev.Release(lse)
	return y
}

// Store copies the rows of x from `from` to `to` to dst [to-from,C], which outlives the pass. It has no gradient.
func (t *Tape) Store(dst compute.Tensor, x *Var, from, to int) {
	check(is(dst, to-from, x.Value.Shape.Cols()), "store", "dst [n C], x [N C]", dst, x.Value)
	readable("store", x)
	t.Dev.Copy(dst, x.Value.View(from, to))
}
