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
	default:
		d.shareBlocks(p, finish)
	}
}

// These constants determine how products are divided among the kernels of package sgemm. The division depends on
// shapes alone, and the elements of a product do not depend on the division.
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
)

// shareColumns divides a product of few rows by columns. Each worker packs the panels that it reads.
func (d *Device[T]) shareColumns(p product[T], finish func(i0, i1, j0, j1 int)) {
	left := sized(&d.packedLeft, p.m*p.k)
	for l := 0; l < p.k; l += sgemm.Inner {
		vectors.PackLeft(left[p.m*l:], p.a.at(0, l).single(), p.m, min(sgemm.Inner, p.k-l))
	}
	panels := (p.n + vectors.Width() - 1) / vectors.Width()
	columns := max(1, panels/(2*leastParts)) * vectors.Width()
	d.each(p.n, columns, func(w, j0, j1 int) {
		s := &d.scratch[w]
		for j := j0; j < j1; j += vectors.Width() {
			n := min(vectors.Width(), j1-j)
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

// shareBlocks divides a product of many rows by rows, and also by columns if there are not enough rows. The workers
// pack each block of the second factor together before they read it.
func (d *Device[T]) shareBlocks(p product[T], finish func(i0, i1, j0, j1 int)) {
	inner := (p.k + sgemm.Inner - 1) / sgemm.Inner
	blocks := inner * ((p.n + columnBlock - 1) / columnBlock)
	at := func(block int) rightBlock {
		return newRightBlock(p.m, p.n, p.k, block/inner*columnBlock, block%inner*sgemm.Inner)
	}
	right := sized(&d.packedRight, vectors.PackedRight(min(sgemm.Inner, p.k), min(columnBlock, p.n)))
	d.team.Stages(d.workers, 2*blocks, func(stage int) int {
		b := at(stage / 2)
		if stage%2 == 0 {
			return b.panels
		}
		return b.down * b.across
	}, func(w, stage, part int) {
		b, width := at(stage/2), vectors.Width()
		if stage%2 == 0 {
			lo := part * width
			n := min(width, b.n-lo)
			switch f := p.weights; {
			case f == nil:
				vectors.PackRight(right[b.k*lo:], p.b.at(b.l, b.j+lo).single(), b.k, n)
			case !f.Ready(p.b.trans, b.j+lo, n):
				f.Pack(right[b.k*lo:], &d.scratch[w].product.Spare, p.b.trans, b.l, b.k, b.j+lo, n)
			}
			return
		}
		s := &d.scratch[w]
		// Rows vary fastest, so that workers read the same panels.
		i, lo := part%b.down*rowBlock, part/b.down*b.columns
		m, n := min(rowBlock, p.m-i), min(b.columns, b.n-lo)
		left := sized(&s.product.Left, m*b.k)
		vectors.PackLeft(left, p.a.at(i, b.l).single(), m, b.k)
		dst, accumulate := as32(p.dst.data[i*p.dst.stride+b.j+lo:]), p.accumulate || b.l > 0
		if p.weights == nil {
			vectors.Multiply(m, n, b.k, float32(p.alpha), left, right[b.k*lo:], accumulate, dst, p.dst.stride, &s.product.Tile)
		}
		for j := 0; j < n && p.weights != nil; j += width {
			columns := min(width, n-j)
			panel := right[b.k*(lo+j):]
			if p.weights.Ready(p.b.trans, b.j+lo+j, columns) {
				panel = p.weights.Panel(b.l, b.k, b.j+lo+j)
			}
			vectors.Multiply(m, columns, b.k, float32(p.alpha), left, panel, accumulate, dst[j:], p.dst.stride, &s.product.Tile)
		}
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
}

// newRightBlock returns the block that begins at column j and inner index l of a product [m,n] with inner indices k.
func newRightBlock(m, n, k, j, l int) rightBlock {
	width := vectors.Width()
	b := rightBlock{j: j, l: l, n: min(columnBlock, n-j), k: min(sgemm.Inner, k-l), down: (m + rowBlock - 1) / rowBlock}
	b.panels = (b.n + width - 1) / width
	across := min(b.panels, (leastParts+b.down-1)/b.down)
	b.columns = (b.panels + across - 1) / across * width
	b.across = (b.n + b.columns - 1) / b.columns
	return b
}
