package tape

import "github.com/lor2c/lor2c/internal/compute"

// Linear returns y = act(x WT + b). x [N,K], w [M,K], b [M] or nil, y [N,M].
func (t *Tape) Linear(x *Var, w, b *Param, act compute.Act) *Var {
	n, k, m := x.Value.Shape.Rows(), x.Value.Shape.Cols(), w.Value.Shape[0]
	check(
		is(w.Value, m, k) && (b == nil || is(b.Value, m)), "linear", "x [N K], w [M K], bias [M]", x.Value, w.Value,
		b.value(),
	)
	if w.Value.DType != compute.NF4 {
		params("linear", w)
	}
	params("linear", b)
	y := t.out("linear", compute.Shape{n, m}, x.needs || w.Trains() || b.Trains(), x)
	var pre compute.Tensor
	if y.needs && act != compute.Identity {
		pre = t.temp(y.Value.Shape)
	}
	dense, release := t.factor(w)
	t.Dev.Linear(y.Value, pre, x.Value, dense, b.value(), act)
	release()
	t.watch("linear", w.Name, y)
	if !y.needs {
		return y
	}
	x.saved = x.saved || w.Trains()
	t.push(y, func(dy compute.Tensor) {
		if act != compute.Identity {
			t.Dev.ActGrad(act, dy, pre, dy)
		}
		if w.Trains() {
			t.Dev.Gemm(w.Grad, 1, dy, true, x.Value, false, true)
		}
		if b.Trains() {
			t.Dev.SumRows(b.Grad, dy)
		}
		if x.needs {
			dx, accumulate := t.gradOf(x)
			dense, release := t.factor(w)
			t.Dev.Gemm(dx, 1, dy, false, dense, false, accumulate)
			release()
		}
	}, present(pre)...)
	return y
}

// Act returns act(x). x, y [N,C].
func (t *Tape) Act(x *Var, act compute.Act) *Var {
	y := t.out("activation", x.Value.Shape, x.needs, x)
	t.Dev.Act(act, y.Value, x.Value)
	t.watch("activation", "", y)
	if y.needs {
		x.saved = true
		t.push(y, func(dy compute.Tensor) {
			t.accumulate(x, func(dx compute.Tensor) { t.Dev.ActGrad(act, dx, x.Value, dy) })
		})
	}
	return y
}

// LowRankDown returns u = dropout(x) AT, the first half of a low-rank path. x
// [N,K], A [R,K], u [N,R], which is Exact. An A [R,K/G] has G groups; see compute.Matmul.
func (t *Tape) LowRankDown(x *Var, a *Param, drop compute.Dropout) *Var {
	n, k, r, cols := x.Value.Shape.Rows(), x.Value.Shape.Cols(), a.Value.Shape[0], a.Value.Shape.Cols()
	check(is(a.Value, r, cols) && divides(cols, k) && divides(k/cols, r), "low rank down", "x [N K], A [R K/G]",
		x.Value, a.Value)
	params("low rank down", a)
	readable("low rank down", x)
	u := &Var{
		Value: t.exact(compute.Shape{n, r}), FirstRow: x.FirstRow, needs: t.Train && (x.needs || a.Trains()), owned: true,
	}
	t.Dev.LowRankDown(u.Value, x.Value, a.Value, drop)
	t.watch("low rank down", a.Name, u)
	if !u.needs {
		return u
	}
	x.saved = x.saved || a.Trains()
	t.push(u, func(du compute.Tensor) {
		var dx compute.Tensor
		accumulate := false
		if x.needs {
			dx, accumulate = t.gradOf(x)
		}
		t.Dev.LowRankDownGrad(dx, a.grad(), x.readBy(a), a.Value, du, drop, accumulate)
	})
	return u
}

// divides reports whether a is a divisor of n.
func divides(a, n int) bool { return a > 0 && n%a == 0 }

// LowRankUp adds scale u BT to y in place. It is the second half of a low-rank path. u [N,R] from LowRankDown, B [M,R],
// or [M,R/G] for a path in G groups, y [N,M]. y must be the output of an op whose gradient does not read that output,
// such as a norm or Linear without an activation.
func (t *Tape) LowRankUp(y, u *Var, b *Param, scale float32) {
	n, m, r := u.Value.Shape.Rows(), y.Value.Shape.Cols(), u.Value.Shape.Cols()
	ranks := b.Value.Shape.Cols()
	check(is(b.Value, m, ranks) && divides(ranks, r) && divides(r/ranks, m) && is(y.Value, n, m), "low rank up",
		"u [N R], B [M R/G], y [N M]", u.Value, b.Value, y.Value)
	params("low rank up", b)
	typed("low rank up", compute.Exact, u.Value)
	readable("low rank up", y, u)
	t.Dev.LowRankUp(y.Value, u.Value, b.Value, scale)
	t.watch("low rank up", b.Name, y)
	if !t.Train || !u.needs && !b.Trains() {
		return
	}
	borrowed := y.needs
	y.needs, u.saved = true, u.saved || b.Trains()
	t.back = append(t.back, entry{y: y, borrowed: borrowed, grad: func(dy compute.Tensor) {
		up := func(du compute.Tensor) { t.Dev.LowRankUpGrad(du, b.grad(), u.readBy(b), b.Value, dy, scale) }
		if !u.needs {
			up(compute.Tensor{})
		}
		t.accumulate(u, up)
	}})
}

// Attention returns softmax(scale q kT) v for each head, over packed rows; see compute.Attention. q [NQ,H*D], k and v
// [NK,HKV*D], y [NQ,H*D].
func (t *Tape) Attention(q, k, v *Var, o compute.AttnOpts) *Var {
	return t.BiasedAttention(q, k, v, nil, o)
}

// BiasedAttention returns softmax(scale q kT + bias) v for each head. bias [K,H] has a row for each bucket of
// o.Buckets; see compute.AttnOpts. If bias is nil it is [Tape.Attention].
func (t *Tape) BiasedAttention(q, k, v *Var, bias *Param, o compute.AttnOpts) *Var {
	nq, nk := q.Value.Shape.Rows(), k.Value.Shape.Rows()
	check(is(q.Value, nq, o.Heads*o.HeadDim) &&
		is(k.Value, nk, o.KVHeads*o.HeadDim) && is(v.Value, nk, o.KVHeads*o.HeadDim) &&
		o.CuQ.Shape.Len() == o.CuK.Shape.Len(), "attention", "q [NQ H*D], k, v [NK HKV*D], cu_seqlens [B+1]",
		q.Value, k.Value, v.Value, o.CuQ, o.CuK)
	if o.Bias = bias.value(); bias != nil {
		rows, places := o.Bias.Shape.Rows(), o.Buckets.Shape.Len()
		check(is(o.Bias, rows, o.Heads) && rows <= compute.MaxBuckets && o.KVHeads == o.Heads && places%2 == 1 &&
			places >= 2*max(o.MaxQ, o.MaxK)-1, "attention", "bias [K H], K at most 32, buckets [2P-1]", o.Bias, o.Buckets)
		params("attention", bias)
	}
	y := t.out("attention", q.Value.Shape, q.needs || k.needs || v.needs || bias.Trains(), q, k, v)
	lse := t.exact(compute.Shape{nq, o.Heads})
	t.Dev.Attention(y.Value, lse, q.Value, k.Value, v.Value, o)
	t.watch("attention", "", y)
	if !y.needs {
		t.Dev.Release(lse)
		return y
	}
	q.saved, k.saved, v.saved, y.saved = true, true, true, true
	t.push(y, func(dy compute.Tensor) {
		dq, dk, dv := t.temp(q.Value.Shape), t.temp(k.Value.Shape), t.temp(v.Value.Shape)
		t.Dev.AttentionGrad(compute.AttentionGradArgs{
			DQ: dq, DK: dk, DV: dv, Q: q.Value, K: k.Value, V: v.Value, Y: y.Value, LSE: lse, DY: dy,
			DBias: bias.grad(), AttnOpts: o,
		})
		t.addGrad(q, dq)
		t.addGrad(k, dk)
		t.addGrad(v, dv)
	}, lse)
	return y
}

// addGrad adds the temporary g to the gradient of v, and takes over its memory.
func (t *Tape) addGrad(v *Var, g compute.Tensor) {
	switch {
	case v.needs && !v.grad.Present():
		v.grad = g
		return
	case v.needs:
		t.Dev.Axpy(v.grad, 1, g)
	}
	t.Dev.Release(g)
}

// addGrads adds what grad writes to the gradients of a and b. grad gets an absent tensor for one that needs no
// gradient.
func (t *Tape) addGrads(a, b *Var, grad func(da, db compute.Tensor)) {
	var da, db compute.Tensor
	if a.needs {
		da = t.like(a)
	}
	if b.needs {
		db = t.like(b)
	}
	grad(da, db)
	if a.needs {
		t.addGrad(a, da)
	}
	if b.needs {
		t.addGrad(b, db)
	}
}

// Dropout returns y = dropout(x), or x itself if drop drops nothing.
func (t *Tape) Dropout(x *Var, drop compute.Dropout) *Var {
	if !drop.Active() {
		return x
	}
	y := t.out("dropout", x.Value.Shape, x.needs, x)
	t.Dev.Dropout(y.Value, x.Value, drop)
	t.watch("dropout", "", y)
	if y.needs {
		t.push(y, func(dy compute.Tensor) {
			t.accumulate(x, func(dx compute.Tensor) { t.Dev.Dropout(dx, dy, drop) })
		})
	}
	return y
}

// Gather returns the rows idx of x. x [N,C], idx [B] Int, y [B,C] of the type of x. FirstRow of y is t.Read, the index
// of the micro-batch's first row that is read within the optimizer step.
func (t *Tape) Gather(x *Var, idx compute.Tensor) *Var {
	readable("gather", x)
	s := compute.Shape{idx.Shape.Len(), x.Value.Shape.Cols()}
	y := &Var{Value: t.Dev.Temp(s, x.Value.DType), FirstRow: t.Read, needs: x.needs && t.Train, owned: true}
	t.Dev.Gather(y.Value, x.Value, idx)
	if y.needs {
		t.push(y, func(dy compute.Tensor) {
			g, accumulate := t.gradOf(x)
			if !accumulate {
				t.Dev.Fill(g, 0)
			}
			t.Dev.Scatter(g, idx, dy)
		})
	}
	return y
}

// Embed returns y = word[ids] + position[pos] + tokenType[types]. ids, pos, types [N] Int; y [N,C]. tokenType may be
// nil, and then position may be too; their indices are absent then.
func (t *Tape) Embed(ids, pos, types compute.Tensor, word, position, tokenType *Param) *Var {
	n, c := ids.Shape.Len(), word.Value.Shape.Cols()
	fits := func(table *Param, idx compute.Tensor) bool {
		return table == nil && !idx.Present() ||
			table != nil && idx.Shape.Len() == n && table.Value.Shape.Cols() == c
	}
	check(fits(position, pos) && fits(tokenType, types) && (position != nil || tokenType == nil),
		"embed", "ids, pos, types [N], tables [V C]", ids, pos, types, word.Value, position.value(), tokenType.value())
	params("embed", word, position, tokenType)
	y := t.out(
		"embed", compute.Shape{n, c}, word.Trains() || position.Trains() || tokenType.Trains(), &Var{FirstRow: t.Row},
	)
	t.Dev.Embed(y.Value, ids, pos, types, word.Value, position.value(), tokenType.value())
	t.watch("embed", word.Name, y)
	if y.needs {
		t.push(y, func(dy compute.Tensor) {
			t.Dev.EmbedGrad(word.grad(), position.grad(), tokenType.grad(), ids, pos, types, dy)
		})
	}
	return y
}

// CrossEntropy adds scale times the summed loss of logits [B,C] against labels [B] Int to loss [1] Exact. Backward
// then starts from it.
func (t *Tape) CrossEntropy(
	loss compute.Tensor, logits *Var, labels compute.Tensor, scale float32, o compute.CrossEntropyOpts,
) {
	b, c := logits.Value.Shape.Rows(), logits.Value.Shape.Cols()
	check(labels.Shape.Len() == b && absentOr(o.Rows, b) && absentOr(o.Classes, c), "cross entropy",
		"logits [B C], labels [B], row weights [B], class weights [C]", logits.Value, labels, o.Rows, o.Classes)
	typed("cross entropy", compute.Exact, loss, o.Rows, o.Classes)
	t.Dev.CrossEntropy(loss, t.lossGrad(logits), logits.Value, labels, scale, o)
}

// absentOr reports whether x is absent or has exactly the given shape.
func absentOr(x compute.Tensor, shape ...int) bool { return !x.Present() || is(x, shape...) }

// BinaryCrossEntropy adds scale times the summed loss of logits [B,C] against targets [B,C] Exact to loss [1] Exact,
// each logit by itself. Backward then starts from it.
func (t *Tape) BinaryCrossEntropy(loss compute.Tensor, logits *Var, targets compute.Tensor, scale float32) {
	check(is(targets, logits.Value.Shape...), "binary cross entropy", "logits and targets [B C]", logits.Value, targets)
	typed("binary cross entropy", compute.Exact, loss, targets)
	t.Dev.BinaryCrossEntropy(loss, t.lossGrad(logits), logits.Value, targets, scale)
}

// MSE adds scale times the summed squared error of x [B,1] against y [B] Exact to loss [1]. Backward then starts from
// it.
func (t *Tape) MSE(loss compute.Tensor, x *Var, y compute.Tensor, scale float32) {
	check(is(x.Value, y.Shape.Len(), 1), "mse", "x [B 1], y [B]", x.Value, y)
	typed("mse", compute.Exact, loss, y)
	t.Dev.MSE(loss, t.lossGrad(x), x.Value, y, scale)
}

func (t *Tape) lossGrad(x *Var) compute.Tensor {
	if !x.needs {
		return compute.Tensor{}
	}
	check(!x.grad.Present(), "loss", "a value that no loss has used before", x.Value)
	g, _ := t.gradOf(x)
	return g
}

// present returns a list of x, or an empty list if x is absent.
func present(x compute.Tensor) []compute.Tensor {
	if x.Present() {
		return []compute.Tensor{x}
	}
	return nil
}
