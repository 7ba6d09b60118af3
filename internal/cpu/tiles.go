package cpu

import (
	"github.com/lor2c/lor2c/internal/sgemm"
)

// leastTiled is the size that both dimensions of a weight have at least if linear layers multiply with it on the tile
// unit. Packing costs too much for smaller ones.
const leastTiled = 64

// These constants determine how products are divided among the kernels of the tile unit. The division depends on shapes
// alone, and the elements of a product do not depend on the division.
const (
	// tiledRows is the number of rows of the first factor that are packed at a time. With TileInner columns they take
	// 4.5 MiB.
	tiledRows = 2048
	// partStrips is the largest number of strips of rows of one part of the destination. With TileInner columns they
	// take 288 KiB, which leaves room in L2 for panels of the second factor.
	partStrips = 4
)

// UseTiles makes linear layers and their gradients multiply on the tile unit (AMX) if this processor has one, which
// reports UseTiles. Results then differ in the last bits from those of other processors. Layers whose weight has a
// dimension below 64 and all other ops are as before.
func (d *Device[T]) UseTiles() bool {
	if single[T]() {
		d.tileUnit = bestTiles()
	}
	return d.tileUnit != nil
}

// tiled reports whether a product with a weight [rows, cols], or whose destination is one, runs on the tile unit.
func (d *Device[T]) tiled(rows, cols int) bool {
	return d.tileUnit != nil && min(rows, cols) >= leastTiled
}

// shareTiles does what share does, on the tile unit. The workers pack blocks of both factors together before they read
// them.
func (d *Device[T]) shareTiles(p product[T], finish func(i0, i1, j0, j1 int)) {
	at := tiling{m: p.m, n: p.n, k: p.k, parts: 3}
	if p.weights != nil {
		at.parts = p.weights.Parts()
	}
	const side = sgemm.TileSide
	t, inner := d.tileUnit, min(sgemm.TileInner, p.k)
	left := sized(&d.tilesLeft, t.PackedLeft(min(tiledRows, p.m), inner))
	right := sized(&d.tilesRight, t.PackedRight(inner, min(columnBlock, p.n), at.parts))
	d.team.Stages(d.workers, 2*at.blocks(), func(stage int) int {
		b := at.block(stage / 2)
		if stage%2 == 0 {
			return b.strips + b.panels
		}
		return b.down * b.across
	}, func(w, stage, part int) {
		b, s := at.block(stage/2), &d.scratch[w].product
		if stage%2 == 0 {
			lo := part * side
			if part < b.strips {
				t.PackLeft(left[t.PackedLeft(lo, b.k):], p.a.at(b.i+lo, b.l).single(), min(side, b.m-lo), b.k, s)
				return
			}
			lo -= b.strips * side
			to, n := right[t.PackedRight(b.k, lo, at.parts):], min(side, b.n-lo)
			if p.weights != nil {
				p.weights.PackTiles(to, p.b.trans, b.l, b.k, b.j+lo, n, s)
			} else {
				t.PackRight(to, p.b.at(b.l, b.j+lo).single(), b.k, n, s)
			}
			return
		}
		// Rows vary fastest, so that workers read the same panels.
		i, j := part%b.down*b.rows, part/b.down*b.columns
		m, n := min(b.rows, b.m-i), min(b.columns, b.n-j)
		t.Multiply(m, n, b.k, float32(p.alpha), left[t.PackedLeft(i, b.k):], right[t.PackedRight(b.k, j, at.parts):],
			at.parts, p.accumulate || b.l > 0, as32(p.dst.data[(b.i+i)*p.dst.stride+b.j+j:]), p.dst.stride, s)
		if b.l+b.k == p.k {
			finish(b.i+i, b.i+i+m, b.j+j, b.j+j+n)
		}
	})
}

// tiling is how a product [m,n] with inner indices k is divided for the tile unit. parts is the number of parts of the
// second factor.
type tiling struct{ m, n, k, parts int }

// ceil returns n/d, rounded up.
func ceil(n, d int) int { return (n + d - 1) / d }

// blocks returns the number of blocks.
func (t tiling) blocks() int {
	return ceil(t.m, tiledRows) * ceil(t.n, columnBlock) * ceil(t.k, sgemm.TileInner)
}

// tileBlock is a block of a product and the parts of the destination that are computed with it.
type tileBlock struct {
	i, j, l        int // first row, column and inner index
	m, n, k        int // numbers of them
	strips, panels int // numbers of strips of rows and of panels of columns
	down, across   int // numbers of parts
	rows, columns  int // of a part
}

// block returns a block. Inner indices vary fastest.
func (t tiling) block(index int) tileBlock {
	inner, across := ceil(t.k, sgemm.TileInner), ceil(t.n, columnBlock)
	b := tileBlock{
		l: index % inner * sgemm.TileInner, j: index / inner % across * columnBlock, i: index / inner / across * tiledRows,
	}
	b.m, b.n, b.k = min(tiledRows, t.m-b.i), min(columnBlock, t.n-b.j), min(sgemm.TileInner, t.k-b.l)
	b.strips, b.panels = ceil(b.m, sgemm.TileSide), ceil(b.n, sgemm.TileSide)
	// Parts have nearly equal sizes.
	b.rows = ceil(b.strips, ceil(b.strips, partStrips))
	b.down = ceil(b.strips, b.rows)
	b.columns = ceil(b.panels, min(b.panels, ceil(leastParts, b.down)))
	b.across = ceil(b.panels, b.columns)
	b.rows, b.columns = b.rows*sgemm.TileSide, b.columns*sgemm.TileSide
	return b
}
