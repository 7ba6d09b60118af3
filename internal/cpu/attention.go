package cpu

import (
	"math"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/vector"
)

// queryBlock is the number of query rows whose scores are in scratch memory at one time. It bounds scratch memory and
// keeps it in L2 for long sequences.
const queryBlock = 128

// heads has the tensors of one attention call as slices.
type heads[T Float] struct {
	compute.AttnOpts
	q, k, v, y, lse, dy []T
	dq, dk, dv          []T
	cuQ, cuK            []int32
	table               []int32 // of blocks; nil if keys and values follow each other
	mask                vector.DropMask[T]
	ldq, ldk            int // row strides of q and k
	bias                []T
	buckets             []int32
	dbias               []T // [B,H,K], the gradient of bias by sequence
}

func newHeads[T Float](q, k, v, y, lse compute.Tensor, o compute.AttnOpts) heads[T] {
	a := heads[T]{
		AttnOpts: o,
		q:        Data[T](q), k: Data[T](k), v: Data[T](v), y: Data[T](y), lse: Data[T](lse),
		cuQ: ints[T](o.CuQ), cuK: ints[T](o.CuK),
		mask: vector.NewDropMask[T](o.Dropout),
		ldq:  o.Heads * o.HeadDim, ldk: o.KVHeads * o.HeadDim,
	}
	if o.Table.Present() {
		a.table = ints[T](o.Table)
	}
	if o.Bias.Present() {
		a.bias, a.buckets = Data[T](o.Bias), ints[T](o.Buckets)
	}
	return a
}

// block has the query rows [q0, q0+rows) of one sequence and head, and the keys [k0, k0+keys) that at least one of
// them sees. If perHead is set it has the query row q0 of the heads [head, head+rows), which share keys.
type block struct {
	sequence       int
	head, kvHead   int
	q0, rows       int
	perHead        bool
	first          int // number of the first query in its sequence
	k0, keys       int
	firstVisible   int // keys that the first row sees; each further row sees one more
	allRowsSeeKeys bool
}

// visible returns how many keys row i of the block sees.
func (b *block) visible(i int) int {
	if b.allRowsSeeKeys {
		return b.keys
	}
	return min(max(b.firstVisible+i, 0), b.keys)
}

// forBlocks calls f for the query blocks of sequence s and head h, in order.
func (a *heads[T]) forBlocks(s, h int, f func(b block)) {
	q0, q1 := int(a.cuQ[s]), int(a.cuQ[s+1])
	k0, k1 := int(a.cuK[s]), int(a.cuK[s+1])
	for i := q0; i < q1; i += queryBlock {
		b := block{
			sequence: s, head: h, kvHead: h / (a.Heads / a.KVHeads),
			q0: i, rows: min(queryBlock, q1-i), first: i - q0,
			k0: k0, keys: k1 - k0,
			allRowsSeeKeys: !a.Causal,
		}
		if a.Causal {
			b.firstVisible = i - q0 + 1 + (k1 - k0) - (q1 - q0)
			b.keys = min(max(b.firstVisible+b.rows-1, 0), b.keys)
		}
		f(b)
	}
}

// row returns the query row and the head of row i of the block.
func (b *block) row(i int) (n, head int) {
	if b.perHead {
		return b.q0, b.head + i
	}
	return b.q0 + i, b.head
}

// queries returns the block's rows of a tensor shaped like the query.
func (a *heads[T]) queries(x []T, b block) matrix[T] {
	if b.perHead {
		return matrix[T]{x[a.qAt(b):], a.HeadDim, false}
	}
	return matrix[T]{x[a.qAt(b):], a.ldq, false}
}

// qAt and kAt return the offset of a block's first element in tensors shaped
// like the query and like the key.
func (a *heads[T]) qAt(b block) int { return b.q0*a.ldq + b.head*a.HeadDim }
func (a *heads[T]) kAt(b block) int { return b.k0*a.ldk + b.kvHead*a.HeadDim }

// runs calls f for the keys of a block in runs whose rows follow each other in k and v: n keys from j on, the first of
// which begins at element `at`. Without a table there is one run. With a table a run is one of its blocks, so the bits
// of a sum over the runs do not depend on where the blocks are.
func (a *heads[T]) runs(b block, f func(j, n, at int)) {
	if a.table == nil {
		f(0, b.keys, a.kAt(b))
		return
	}
	table := a.table[b.sequence*a.Table.Shape.Cols():]
	for j := 0; j < b.keys; j += compute.BlockRows {
		row := int(table[j/compute.BlockRows]) * compute.BlockRows
		f(j, min(compute.BlockRows, b.keys-j), row*a.ldk+b.kvHead*a.HeadDim)
	}
}

// scores computes s = scale q kT for a block, [rows, keys], on worker w.
func (d *Device[T]) scores(w int, a *heads[T], s []T, b block) {
	a.runs(b, func(j, n, at int) {
		d.multiply(w, product[T]{
			m: b.rows, n: n, k: a.HeadDim, alpha: T(a.Scale), a: a.queries(a.q, b),
			b: matrix[T]{a.k[at:], a.ldk, true}, dst: matrix[T]{s[j:], b.keys, false},
		})
	})
}

// maskRow draws the dropout multipliers for row i of a block.
func (a *heads[T]) maskRow(mul []T, b block, i int) {
	n, head := b.row(i)
	a.mask.RowAt(mul, (a.Dropout.Row+uint32(n))*uint32(a.Heads)+uint32(head))
}

// Attention computes softmax(scale q kT + bias) v for each head. Workers take heads of one sequence at a time: one, or
// several if they are short. If sequences have one query row, as a decoder's next token, the heads that share keys are
// rows of one product, unless every head has a bias of its own.
func (d *Device[T]) Attention(dst, lse, q, k, v compute.Tensor, o compute.AttnOpts) {
	if d.err != nil {
		return
	}
	a := newHeads[T](q, k, v, dst, lse, o)
	each, rows := o.Heads, o.MaxQ
	together := o.MaxQ == 1 && a.bias == nil
	if together {
		each, rows = o.KVHeads, o.Heads/o.KVHeads
	}
	chunk := max(1, chunkProducts/max(1, rows*o.MaxK*o.HeadDim))
	d.each((len(a.cuQ)-1)*each, chunk, func(w, lo, hi int) {
		for i := lo; i < hi; i++ {
			s, h := i/each, i%each
			if together {
				a.forRow(s, h, func(b block) { d.attend(w, &a, b) })
			} else {
				a.forBlocks(s, h, func(b block) { d.attend(w, &a, b) })
			}
		}
	})
}

// chunkProducts is the number of multiply-adds of one product of attention that are worth another worker.
const chunkProducts = 1 << 16

// forRow calls f for the query row of sequence s, if it has one, in all heads that share key-value head kv.
func (a *heads[T]) forRow(s, kv int, f func(b block)) {
	if a.cuQ[s+1] == a.cuQ[s] {
		return
	}
	group := a.Heads / a.KVHeads
	f(block{
		sequence: s, head: kv * group, kvHead: kv, q0: int(a.cuQ[s]), rows: group, perHead: true,
		k0: int(a.cuK[s]), keys: int(a.cuK[s+1] - a.cuK[s]), allRowsSeeKeys: true,
	})
}

// attend computes one block of Attention.
func (d *Device[T]) attend(w int, a *heads[T], b block) {
	out := a.queries(a.y, b)
	if b.keys == 0 {
		out.clear(b.rows, a.HeadDim)
		for i := range b.rows {
			n, head := b.row(i)
			a.lse[n*a.Heads+head] = T(math.Inf(-1))
		}
		return
	}
	s := sized(&d.scratch[w].a, max(min(queryBlock, a.MaxQ), b.rows)*a.MaxK)[:b.rows*b.keys]
	mul := d.maskOf(w, a.MaxK)
	d.scores(w, a, s, b)
	bias := d.biasOf(w, a, b)
	for i := range b.rows {
		n := b.visible(i)
		p := s[i*b.keys : i*b.keys+n]
		clear(s[i*b.keys+n : (i+1)*b.keys])
		addBias(p, bias, b.rows-1-i)
		lse := vector.Softmax(p)
		row, head := b.row(i)
		a.lse[row*a.Heads+head] = lse
		if a.mask.Active() {
			a.maskRow(mul[:n], b, i)
			vector.Mul(p, p, mul)
		}
	}
	a.runs(b, func(j, n, at int) {
		d.multiply(w, product[T]{
			m: b.rows, n: a.HeadDim, k: n, alpha: 1, a: matrix[T]{s[j:], b.keys, false},
			b: matrix[T]{a.v[at:], a.ldk, false}, dst: out, accumulate: j > 0,
		})
	})
}
