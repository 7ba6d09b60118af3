package cpu

import (
	"fmt"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/sgemm"
)

// matrix is a matrix, or the transpose of one, that is stored by rows.
type matrix[T Float] struct {
	data   []T
	stride int  // elements from one stored row to the next
	trans  bool // the matrix is the transpose of the stored one
}

// at returns the matrix that begins at element (i, j) of m.
func (m matrix[T]) at(i, j int) matrix[T] {
	if m.trans {
		i, j = j, i
	}
	m.data = m.data[min(i*m.stride+j, len(m.data)):]
	return m
}

// single returns m as a matrix of package sgemm. T must be float32.
func (m matrix[T]) single() sgemm.Matrix {
	return sgemm.Matrix{Data: as32(m.data), Stride: m.stride, Trans: m.trans}
}

// clear sets the first rows and columns of m, which is not transposed, to zero.
func (m matrix[T]) clear(rows, columns int) {
	for i := range rows {
		clear(m.data[i*m.stride:][:columns])
	}
}

// product is dst = alpha a b, or dst += alpha a b if accumulate is set: a
// [m,k], b [k,n], dst [m,n].
type product[T Float] struct {
	m, n, k    int
	alpha      T
	a, b       matrix[T]
	weights    *sgemm.Weights // if not nil they are the matrix b, transposed if b.trans is set
	dst        matrix[T]      // not transposed
	accumulate bool
	tiled      bool // to be computed on the tile unit
}

// part returns the product for rows [i0,i1) and columns [j0,j1) of the destination.
func (p product[T]) part(i0, i1, j0, j1 int) product[T] {
	p.m, p.n = i1-i0, j1-j0
	p.a, p.dst = p.a.at(i0, 0), p.dst.at(i0, j0)
	if p.weights == nil {
		p.b = p.b.at(0, j0)
	}
	return p
}

// secondFactor returns what product needs to know of w, a [rows, cols] tensor or frozen weights, as its second factor.
func secondFactor[T Float](w compute.Tensor, trans bool) (matrix[T], *sgemm.Weights) {
	if f := frozen[T](w); f != nil {
		if rows, cols := f.Size(); w.Off != 0 || w.Shape.Rows() != rows || w.Shape.Cols() != cols {
			panic(fmt.Sprintf("cpu: a part %v of frozen weights [%d %d] is a factor of a product", w.Shape, rows, cols))
		}
		return matrix[T]{trans: trans}, f
	}
	return matrix[T]{Data[T](w), w.Shape.Cols(), trans}, nil
}

// multiply computes p on worker w.
func (d *Device[T]) multiply(w int, p product[T]) {
	switch {
	case p.m == 0 || p.n == 0:
	case p.k == 0 && p.accumulate:
	case p.k == 0:
		p.dst.clear(p.m, p.n)
	case single[T]() && vectors != nil:
		vectors.Product(p.m, p.n, p.k, float32(p.alpha), p.a.single(), p.b.single(), p.accumulate,
			as32(p.dst.data), p.dst.stride, &d.scratch[w].product)
	default:
		p.blas()
	}
}

// share computes p on all workers. When a part [i0,i1) x [j0,j1) of the destination is complete, the worker that
// computed it, and has it in cache, calls finish.
func (d *Device[T]) share(p product[T], finish func(i0, i1, j0, j1 int)) {
	switch {
	case p.m == 0 || p.n == 0:
	case !single[T]() || vectors == nil || p.k == 0:
		d.tiles(p.m, p.n, func(w, i0, i1, j0, j1 int) {
			part := p.part(i0, i1, j0, j1)
			if f := p.weights; f != nil {
				m := f.Matrix(&d.scratch[w].product.Right, p.b.trans, 0, p.k, j0, j1-j0)
				part.b = matrix[T]{of32[T](m.Data), m.Stride, m.Trans}
			}
			d.multiply(w, part)
			finish(i0, i1, j0, j1)
		})
	case p.tiled:
		d.shareTiles(p, finish)
	case p.m <= rowBlock:
		d.shareColumns(p, finish)
	case p.weights != nil && p.weights.Packed(p.b.trans):
		d.sharePacked(p, finish)
	default:
		d.shareBlocks(p, finish)
	}
}

// These constants determine how products are divided among the kernels of package sgemm. The elements of a product do
// not depend on the division.
const (
	// rowBlock is the number of rows of the first factor that a worker packs at a time. It is a multiple of the rows
	// of every kernel's tile. With Inner columns the rows take 64 KiB, which leaves room in L2 for a panel of the
	// second factor.
	rowBlock = 42
	// columnBlock is the number of columns of the second factor that are packed at a time. With Inner rows they take
	// 6 MiB.
	columnBlock = 4096
	// leastParts is the number of parts of a destination that are enough to keep all workers busy to the end.
	leastParts = 16
	// stretch is the most panels of weights in a part of a product whose kernels read one panel after another. They ask
	// for memory up to 32 KiB ahead, and so for what another worker reads at the end of a part. A panel takes 36 KiB in
	// the smallest of decoders.
	stretch = 12
	// packElems is the number of elements of the first factor that are worth the help of another worker to pack.
	packElems = 1 << 14
)

// shareColumns divides a product of few rows by columns. Each worker packs the panels that it reads.
func (d *Device[T]) shareColumns(p product[T], finish func(i0, i1, j0, j1 int)) {
	left := sized(&d.packedLeft, p.m*p.k)
	d.each(p.k, ceil(packElems/p.m, sgemm.Inner)*sgemm.Inner, func(_, lo, hi int) {
		for l := lo; l < hi; l += sgemm.Inner {
			vectors.PackLeft(left[p.m*l:], p.a.at(0, l).single(), p.m, min(sgemm.Inner, hi-l))
		}
	})
	panels, together := ceil(p.n, vectors.Width()), 1
	part := max(1, panels/(2*leastParts))
	if p.weights != nil && p.b.trans {
		together = p.weights.Together(p.m)
		most := together
		if together == 1 {
			most = stretch
		}
		part = panelsOf(panels, most, d.workers)
	}
	d.each(p.n, part*vectors.Width(), func(w, j0, j1 int) {
		s := &d.scratch[w]
		for j := j0; j < j1; j += together * vectors.Width() {
			n := min(together*vectors.Width(), j1-j)
			for l := 0; l < p.k; l += sgemm.Inner {
				k := min(sgemm.Inner, p.k-l)
				if p.weights != nil {
					p.weights.Multiply(p.m, n, k, float32(p.alpha), left[p.m*l:], p.b.trans, l, j, p.accumulate || l > 0,
						as32(p.dst.data[j:]), p.dst.stride, &s.product)
					continue
				}
				right := sized(&s.product.Right, vectors.PackedRight(k, n))
				vectors.PackRight(right, p.b.at(l, j).single(), k, n)
				vectors.Multiply(p.m, n, k, float32(p.alpha), left[p.m*l:], right, p.accumulate || l > 0,
					as32(p.dst.data[j:]), p.dst.stride, &s.product.Tile)
			}
		}
		finish(0, p.m, j0, j1)
	})
}

// panelsOf returns how many of the panels of a product are one part, at most `most`. All workers get equally many, or
// nearly so.
func panelsOf(panels, most, workers int) int {
	each := ceil(panels, workers)
	return ceil(panels, workers*ceil(each, most))
}

// sharePacked divides a product of many rows with weights that are stored as products read them. Each worker computes a
// part of the destination to its end.
func (d *Device[T]) sharePacked(p product[T], finish func(i0, i1, j0, j1 int)) {
	whole := newRightBlock(p.m, 0, p.n, 0, p.k)
	left := sized(&d.packedLeft, whole.packedLeft(p.m))
	d.team.Stages(d.workers, 2, func(stage int) int {
		if stage == 0 {
			return whole.lefts
		}
		return whole.down * whole.across
	}, func(w, stage, part int) {
		s := &d.scratch[w]
		i, m, lo, n := whole.part(p.m, part)
		packed := left[min(i*p.k, len(left)):]
		if whole.lefts == 0 {
			packed = sized(&s.product.Left, m*p.k)
		}
		for l := 0; l < p.k; l += sgemm.Inner {
			k := min(sgemm.Inner, p.k-l)
			if stage == 0 || whole.lefts == 0 {
				vectors.PackLeft(packed[m*l:], p.a.at(i, l).single(), m, k)
			}
			for j := lo; j < lo+n && stage == 1; j += vectors.Width() {
				p.weights.Multiply(m, vectors.Width(), k, float32(p.alpha), packed[m*l:], true, l, j, p.accumulate || l > 0,
					as32(p.dst.data[i*p.dst.stride+j:]), p.dst.stride, &s.product)
			}
		}
		if stage == 1 {
			finish(i, i+m, lo, lo+n)
		}
	})
}

// shareBlocks divides a product of many rows by rows, and also by columns if there are not enough rows. The workers
// pack each block of the second factor together before they read it, and the first factor too if several parts read the
// same rows.
func (d *Device[T]) shareBlocks(p product[T], finish func(i0, i1, j0, j1 int)) {
	inner := ceil(p.k, sgemm.Inner)
	blocks := inner * ceil(p.n, columnBlock)
	at := func(block int) rightBlock {
		j, l := block/inner*columnBlock, block%inner*sgemm.Inner
		return newRightBlock(p.m, j, min(columnBlock, p.n-j), l, min(sgemm.Inner, p.k-l))
	}
	right := sized(&d.packedRight, vectors.PackedRight(min(sgemm.Inner, p.k), min(columnBlock, p.n)))
	left := sized(&d.packedLeft, at(0).packedLeft(p.m))
	d.team.Stages(d.workers, 2*blocks, func(stage int) int {
		b := at(stage / 2)
		if stage%2 == 0 {
			return b.panels + b.lefts
		}
		return b.down * b.across
	}, func(w, stage, part int) {
		b, s := at(stage/2), &d.scratch[w]
		if lo := part * vectors.Width(); stage%2 == 0 && part < b.panels {
			n := min(vectors.Width(), b.n-lo)
			if p.weights != nil {
				p.weights.Pack(right[b.k*lo:], &s.product.Spare, p.b.trans, b.l, b.k, b.j+lo, n)
			} else {
				vectors.PackRight(right[b.k*lo:], p.b.at(b.l, b.j+lo).single(), b.k, n)
			}
			return
		}
		if stage%2 == 0 {
			i, m, _, _ := b.part(p.m, part-b.panels)
			vectors.PackLeft(left[i*b.k:], p.a.at(i, b.l).single(), m, b.k)
			return
		}
		i, m, lo, n := b.part(p.m, part)
		packed := left[min(i*b.k, len(left)):]
		if b.lefts == 0 {
			packed = sized(&s.product.Left, m*b.k)
			vectors.PackLeft(packed, p.a.at(i, b.l).single(), m, b.k)
		}
		vectors.Multiply(m, n, b.k, float32(p.alpha), packed, right[b.k*lo:], p.accumulate || b.l > 0,
			as32(p.dst.data[i*p.dst.stride+b.j+lo:]), p.dst.stride, &s.product.Tile)
		if b.l+b.k == p.k {
			finish(i, i+m, b.j+lo, b.j+lo+n)
		}
	})
}

// rightBlock describes a block of the second factor of a product and the parts of the destination that are computed
// with it.
type rightBlock struct {
	j, l         int // first column and first inner index of the block
	n, k         int // numbers of columns and of inner indices
	panels       int
	down, across int // numbers of parts of the destination
	columns      int // columns of a part
	lefts        int // blocks of rows that are packed once for several parts: down if across > 1, otherwise 0
}

// newRightBlock returns the block of n columns from j on and k inner indices from l on, for a product of m rows.
func newRightBlock(m, j, n, l, k int) rightBlock {
	width := vectors.Width()
	b := rightBlock{j: j, l: l, n: n, k: k, down: ceil(m, rowBlock)}
	b.panels = ceil(b.n, width)
	across := min(b.panels, ceil(leastParts, b.down))
	b.columns = ceil(b.panels, across) * width
	b.across = ceil(b.n, b.columns)
	if b.across > 1 {
		b.lefts = b.down
	}
	return b
}

// packedLeft returns the number of elements of the first factor, of m rows, that are packed for several parts.
func (b rightBlock) packedLeft(m int) int {
	if b.lefts == 0 {
		return 0
	}
	return m * b.k
}

// part returns the first row, the number of rows, the first column in the block and the number of columns of a part of
// the destination. Rows vary fastest, so that workers read the same panels.
func (b rightBlock) part(m, part int) (i, rows, lo, columns int) {
	i, lo = part%b.down*rowBlock, part/b.down*b.columns
	return i, min(rowBlock, m-i), lo, min(b.columns, b.n-lo)
}
