package cpu

import (
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/vector"
)

// lowRankRows is the number of rows in a chunk. Its input, mask and gradient stay in L2 at C = 768.
const lowRankRows = 64

// lowRankChunks is the largest number of partial gradients.
const lowRankChunks = 32

// grouping describes a low-rank path between k columns and r ranks that is divided into equal groups. A group has cols
// columns and ranks ranks. Its part of either factor follows that of the group before.
type grouping struct{ k, r, groups, cols, ranks int }

// newGrouping returns the groups of a path between k columns and r ranks whose factor has the given number of
// elements: k r without groups, and k r / G with G of them.
func newGrouping(k, r, factor int) grouping {
	g := grouping{k: k, r: r, groups: max(1, k*r/max(factor, 1))}
	g.cols, g.ranks = k/g.groups, r/g.groups
	return g
}

// each calls f for every group with the first of its columns, of its ranks and of its elements in the factor.
func (g grouping) each(f func(col, rank, at int)) {
	for i := range g.groups {
		f(i*g.cols, i*g.ranks, i*g.cols*g.ranks)
	}
}

// LowRankDown computes u = dropout(x) AT.
func (d *Device[T]) LowRankDown(u, x, a compute.Tensor, drop compute.Dropout) {
	if d.err != nil {
		return
	}
	out, in, down := Data[T](u), Data[T](x), Data[T](a)
	k, r := x.Shape.Cols(), u.Shape.Cols()
	groups := newGrouping(k, r, len(down))
	mask := vector.NewDropMask[T](drop)
	d.each(x.Shape.Rows(), lowRankRows, func(w, lo, hi int) {
		xs := in[lo*k : hi*k]
		if mask.Active() {
			xs = sized(&d.scratch[w].a, (hi-lo)*k)
			d.maskRows(w, &mask, xs, in[lo*k:hi*k], lo, k)
		}
		groups.each(func(col, rank, at int) {
			d.multiply(w, product[T]{
				m: hi - lo, n: groups.ranks, k: groups.cols, alpha: 1, a: matrix[T]{xs[col:], k, false},
				b: matrix[T]{down[at:], groups.cols, true}, dst: matrix[T]{out[lo*r+rank:], r, false},
			})
		})
	})
}

// maskRows computes dst = mask x / (1-p) for rows of which the first has index first.
func (d *Device[T]) maskRows(w int, mask *vector.DropMask[T], dst, x []T, first, cols int) {
	mul := d.maskOf(w, cols)
	for i := 0; i < len(dst); i += cols {
		mask.Row(mul, first+i/cols)
		vector.Mul(dst[i:i+cols], x[i:i+cols], mul)
	}
}

// LowRankUp computes dst += scale u BT.
func (d *Device[T]) LowRankUp(dst, u, b compute.Tensor, scale float32) {
	if d.err != nil {
		return
	}
	out, in, up := Data[T](dst), Data[T](u), Data[T](b)
	m, r := dst.Shape.Cols(), u.Shape.Cols()
	groups := newGrouping(m, r, len(up))
	d.each(dst.Shape.Rows(), lowRankRows, func(w, lo, hi int) {
		groups.each(func(col, rank, at int) {
			d.multiply(w, product[T]{
				m: hi - lo, n: groups.cols, k: groups.ranks, alpha: T(scale), a: matrix[T]{in[lo*r+rank:], r, false},
				b: matrix[T]{up[at:], groups.ranks, true}, dst: matrix[T]{out[lo*m+col:], m, false}, accumulate: true,
			})
		})
	})
}

// LowRankUpGrad computes the gradient of LowRankUp.
func (d *Device[T]) LowRankUpGrad(du, db, u, b, dy compute.Tensor, scale float32) {
	if d.err != nil {
		return
	}
	gu, gb := Data[T](du), Data[T](db)
	in, up, g := Data[T](u), Data[T](b), Data[T](dy)
	m, r := dy.Shape.Cols(), widest(u, du)
	groups := newGrouping(m, r, len(up))
	d.factorGrad(gb, dy.Shape.Rows(), len(up), func(w int, sum []T, accumulate bool, lo, rows int) {
		gy := g[lo*m : (lo+rows)*m]
		groups.each(func(col, rank, at int) {
			if gu != nil {
				d.multiply(w, product[T]{
					m: rows, n: groups.ranks, k: groups.cols, alpha: T(scale), a: matrix[T]{gy[col:], m, false},
					b: matrix[T]{up[at:], groups.ranks, false}, dst: matrix[T]{gu[lo*r+rank:], r, false},
				})
			}
			if sum != nil {
				d.multiply(w, product[T]{
					m: groups.cols, n: groups.ranks, k: rows, alpha: T(scale), a: matrix[T]{gy[col:], m, true},
					b: matrix[T]{in[lo*r+rank:], r, false}, dst: matrix[T]{sum[at:], groups.ranks, false}, accumulate: accumulate,
				})
			}
		})
	})
}

// LowRankDownGrad computes the gradient of LowRankDown. The mask is drawn once for da and dx.
func (d *Device[T]) LowRankDownGrad(dx, da, x, a, du compute.Tensor, drop compute.Dropout, add bool) {
	if d.err != nil {
		return
	}
	gx, ga, gu := Data[T](dx), Data[T](da), Data[T](du)
	in, down := Data[T](x), Data[T](a)
	k, r := widest(x, dx), a.Shape.Rows()
	groups := newGrouping(k, r, len(down))
	mask := vector.NewDropMask[T](drop)
	d.factorGrad(ga, du.Shape.Rows(), len(down), func(w int, sum []T, accumulate bool, lo, rows int) {
		s := &d.scratch[w]
		var mul []T
		if mask.Active() {
			// The multipliers of a row are drawn eight at a time, so the last ones may overwrite the start of the
			// next row, which is drawn later.
			mul = sized(&s.mask, rows*k+8)[:rows*k]
			for n := range rows {
				mask.Row(mul[n*k:(n+1)*k], lo+n)
			}
		}
		if sum != nil {
			xs := in[lo*k : (lo+rows)*k]
			if mul != nil {
				masked := sized(&s.a, rows*k)
				vector.Mul(masked, xs, mul)
				xs = masked
			}
			groups.each(func(col, rank, at int) {
				d.multiply(w, product[T]{
					m: groups.ranks, n: groups.cols, k: rows, alpha: 1, a: matrix[T]{gu[lo*r+rank:], r, true},
					b: matrix[T]{xs[col:], k, false}, dst: matrix[T]{sum[at:], groups.cols, false}, accumulate: accumulate,
				})
			})
		}
		if gx != nil {
			d.lowRankInput(w, gx[lo*k:(lo+rows)*k], gu[lo*r:], down, mul, rows, groups, add)
		}
	})
}

// factorGrad runs f on chunks of n rows. Each chunk has a separate sum, which f overwrites, or adds to if accumulate
// is set. The sums are added to dst in the order of the chunks. If dst is absent the sums are nil.
func (d *Device[T]) factorGrad(dst []T, n, size int, f func(w int, sum []T, accumulate bool, lo, rows int)) {
	span := max(1, ceil(n, lowRankChunks*lowRankRows)) * lowRankRows
	var partial []T
	if dst != nil {
		partial = sized(&d.partial, ceil(n, span)*size)
	}
	d.each(n, span, func(w, lo, hi int) {
		var sum []T
		if dst != nil {
			sum = partial[lo/span*size:][:size]
		}
		for i := lo; i < hi; i += lowRankRows {
			f(w, sum, i > lo, i, min(lowRankRows, hi-i))
		}
	})
	d.each(len(dst), chunkElems, func(_, lo, hi int) {
		for p := 0; p < len(partial); p += size {
			vector.Add(dst[lo:hi], dst[lo:hi], partial[p+lo:p+hi])
		}
	})
}

// lowRankInput computes dx = mul (du A) for some rows, or adds it to dx. mul is nil without dropout.
func (d *Device[T]) lowRankInput(w int, dx, du, down, mul []T, rows int, groups grouping, accumulate bool) {
	out := dx
	if mul != nil {
		out = sized(&d.scratch[w].a, len(dx))
	}
	groups.each(func(col, rank, at int) {
		d.multiply(w, product[T]{
			m: rows, n: groups.cols, k: groups.ranks, alpha: 1, a: matrix[T]{du[rank:], groups.r, false},
			b: matrix[T]{down[at:], groups.cols, false}, dst: matrix[T]{out[col:], groups.k, false},
			accumulate: accumulate && mul == nil,
		})
	})
	switch {
	case mul == nil:
	case accumulate:
		vector.AddMul(dx, dx, out, mul)
	default:
		vector.Mul(dx, out, mul)
	}
}

// widest returns the number of columns of the tensors that are present, or 0.
func widest(xs ...compute.Tensor) (cols int) {
	for _, x := range xs {
		if x.Present() {
			cols = x.Shape.Cols()
		}
	}
	return cols
}
