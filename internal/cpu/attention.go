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
	return a
}

// block has the query rows [q0, q0+rows) of one sequence and head, and the keys [k0, k0+keys) that at least one of
// them sees.
type block struct {
	sequence       int
	head, kvHead   int
	q0, rows       int
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
			q0: i, rows: min(queryBlock, q1-i),
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
			m: b.rows, n: n, k: a.HeadDim, alpha: T(a.Scale), a: matrix[T]{a.q[a.qAt(b):], a.ldq, false},
			b: matrix[T]{a.k[at:], a.ldk, true}, dst: matrix[T]{s[j:], b.keys, false},
		})
	})
}

// maskRow draws the dropout multipliers for row i of a block.
func (a *heads[T]) maskRow(mul []T, b block, i int) {
	a.mask.RowAt(mul, (a.Dropout.Row+uint32(b.q0+i))*uint32(a.Heads)+uint32(b.head))
}

// Attention computes softmax(scale q kT) v for each head. Workers take one head of one sequence at a time.
func (d *Device[T]) Attention(dst, lse, q, k, v compute.Tensor, o compute.AttnOpts) {
	if d.err != nil {
		return
	}
	a := newHeads[T](q, k, v, dst, lse, o)
	d.each((len(a.cuQ)-1)*o.Heads, 1, func(w, lo, _ int) {
		a.forBlocks(lo/o.Heads, lo%o.Heads, func(b block) { d.attend(w, &a, b) })
	})
}

// attend computes one block of Attention.
func (d *Device[T]) attend(w int, a *heads[T], b block) {
	out := a.y[a.qAt(b):]
	if b.keys == 0 {
		matrix[T]{data: out, stride: a.ldq}.clear(b.rows, a.HeadDim)
		for i := range b.rows {
			a.lse[(b.q0+i)*a.Heads+b.head] = T(math.Inf(-1))
		}
		return
	}
	s := sized(&d.scratch[w].a, min(queryBlock, a.MaxQ)*a.MaxK)[:b.rows*b.keys]
	mul := d.maskOf(w, a.MaxK)
	d.scores(w, a, s, b)
	for i := range b.rows {
		n := b.visible(i)
		p := s[i*b.keys : i*b.keys+n]
		clear(s[i*b.keys+n : (i+1)*b.keys])
		lse := vector.Softmax(p)
		a.lse[(b.q0+i)*a.Heads+b.head] = lse
		if a.mask.Active() {
			a.maskRow(mul[:n], b, i)
			vector.Mul(p, p, mul)
		}
	}
	a.runs(b, func(j, n, at int) {
		d.multiply(w, product[T]{
			m: b.rows, n: a.HeadDim, k: n, alpha: 1, a: matrix[T]{s[j:], b.keys, false},
			b: matrix[T]{a.v[at:], a.ldk, false}, dst: matrix[T]{out, a.ldq, false}, accumulate: j > 0,
		})
	})
}
