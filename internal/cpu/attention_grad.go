package cpu

import (
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/vector"
)

// AttentionGrad is the gradient of Attention. With P = exp(S - lse) and the
// mask M already divided by 1-p (Dao 2023, arXiv:2307.08691, algorithm 2):
//
//	dv = (M P)T dy,  dS = P (M dyvT - rowsum(dy y)),  dq = scale dS k,  dk = scale dST q
//
// The gradient of a row of the bias is the sum of dS over all pairs of its bucket.
// A worker takes one key-value head of one sequence with all its query heads, so that sums in dk and dv are added in
// a fixed order.
func (d *Device[T]) AttentionGrad(o compute.AttentionGradArgs) {
	if d.err != nil {
		return
	}
	a := newHeads[T](o.Q, o.K, o.V, o.Y, o.LSE, o.AttnOpts)
	a.dq, a.dk, a.dv, a.dy = Data[T](o.DQ), Data[T](o.DK), Data[T](o.DV), Data[T](o.DY)
	group := a.Heads / a.KVHeads
	if o.DBias.Present() {
		a.dbias = sized(&d.partial, (len(a.cuQ)-1)*len(a.bias))
		clear(a.dbias)
	}
	d.each((len(a.cuK)-1)*a.KVHeads, 1, func(w, lo, _ int) {
		s, kv := lo/a.KVHeads, lo%a.KVHeads
		k0, k1 := int(a.cuK[s]), int(a.cuK[s+1])
		if k1 > k0 {
			at := k0*a.ldk + kv*a.HeadDim
			matrix[T]{data: a.dk[at:], stride: a.ldk}.clear(k1-k0, a.HeadDim)
			matrix[T]{data: a.dv[at:], stride: a.ldk}.clear(k1-k0, a.HeadDim)
		}
		for h := kv * group; h < (kv+1)*group; h++ {
			a.forBlocks(s, h, func(b block) { d.attendGrad(w, &a, b) })
		}
	})
	if o.DBias.Present() {
		a.sumBias(Data[T](o.DBias))
	}
}

// attendGrad computes dq of one block and adds the block's contributions to dk and dv.
func (d *Device[T]) attendGrad(w int, a *heads[T], b block) {
	qi, ki := a.qAt(b), a.kAt(b)
	if b.keys == 0 {
		if a.dq != nil {
			matrix[T]{data: a.dq[qi:], stride: a.ldq}.clear(b.rows, a.HeadDim)
		}
		return
	}
	most := min(queryBlock, a.MaxQ) * a.MaxK
	p := sized(&d.scratch[w].a, most)[:b.rows*b.keys]
	ds := sized(&d.scratch[w].b, most)[:b.rows*b.keys]
	d.scores(w, a, p, b)
	d.multiply(w, product[T]{
		m: b.rows, n: b.keys, k: a.HeadDim, alpha: 1, a: matrix[T]{a.dy[qi:], a.ldq, false},
		b: matrix[T]{a.v[ki:], a.ldk, true}, dst: matrix[T]{ds, b.keys, false},
	})
	mul := d.maskOf(w, a.MaxK)
	bias := d.biasOf(w, a, b)
	for i := range b.rows {
		n := b.visible(i)
		lo, hi := i*b.keys, (i+1)*b.keys
		clear(p[lo+n : hi])
		clear(ds[lo+n : hi])
		at := qi + i*a.ldq
		delta := vector.Dot(a.dy[at:at+a.HeadDim], a.y[at:at+a.HeadDim])
		row, grad := p[lo:lo+n], ds[lo:lo+n]
		addBias(row, bias, b.rows-1-i)
		vector.ExpSum(row, a.lse[(b.q0+i)*a.Heads+b.head])
		if a.mask.Active() {
			a.maskRow(mul[:n], b, i)
			vector.SoftmaxGradMasked(grad, row, mul, delta)
		} else {
			vector.SoftmaxGrad(grad, row, delta)
		}
	}
	if a.dbias != nil {
		a.biasGrad(bias, ds, b)
	}
	d.multiply(w, product[T]{
		m: b.keys, n: a.HeadDim, k: b.rows, alpha: 1, a: matrix[T]{p, b.keys, true},
		b: matrix[T]{a.dy[qi:], a.ldq, false}, dst: matrix[T]{a.dv[ki:], a.ldk, false}, accumulate: true,
	})
	d.multiply(w, product[T]{
		m: b.keys, n: a.HeadDim, k: b.rows, alpha: T(a.Scale), a: matrix[T]{ds, b.keys, true},
		b: matrix[T]{a.q[qi:], a.ldq, false}, dst: matrix[T]{a.dk[ki:], a.ldk, false}, accumulate: true,
	})
	if a.dq != nil {
		d.multiply(w, product[T]{
			m: b.rows, n: a.HeadDim, k: b.keys, alpha: T(a.Scale), a: matrix[T]{ds, b.keys, false},
			b: matrix[T]{a.k[ki:], a.ldk, false}, dst: matrix[T]{a.dq[qi:], a.ldq, false},
		})
	}
}
