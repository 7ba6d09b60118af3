package cpu

import (
	"fmt"

	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/processor"
	"github.com/lor2c/lor2c/internal/sgemm"
)

// leastTiled is the size that both dimensions of a weight have at least if linear layers multiply with it on the tile
// unit. Packing costs too much for smaller ones: a step with weights of 128 x 128 takes longer than with vectors, and
// one with 384 x 384 does not. Tests lower it.
var leastTiled = 256

// These constants determine how products are divided among the kernels of the tile unit. The division depends on shapes
// alone, and the elements of a product do not depend on the division.
const (
	// tiledRows is the number of rows of the first factor that are packed at a time. With TileInner columns they take
	// 4.5 MiB.
	tiledRows = 2048
	// partStrips is the largest number of strips of rows of one part of the destination. With TileInner columns they
	// take 288 KiB, which leaves room in L2 for panels of the second factor.
	partStrips = 4
	// fewRows is the largest number of rows for which every part of the destination has all of them, so that a panel of
	// the second factor is packed only for the part that reads it.
	fewRows = 512
)

// CheckInstructions returns an error if the variable of package processor names no instruction set, or one that is
// missing here and would change results.
func CheckInstructions() error {
	if !processor.Known() {
		return fmt.Errorf("cpu: read %s: it is %s; want the newest instruction set to use, %s, %s or %s", processor.Variable,
			place.Quote(processor.Newest()), processor.AVX2, processor.AVX512, processor.AMX)
	}
	if processor.Newest() == processor.AMX && bestTiles() == nil {
		return fmt.Errorf("cpu: read %s: it is %s, and this processor, system or build has no tile unit with bfloat16; "+
			"leave it unset", processor.Variable, processor.AMX)
	}
	return nil
}

// Products returns what multiplies the matrices of linear layers: the tile unit, or what BLAS returns.
func (d *Device[T]) Products() string {
	if d.tileUnit != nil {
		return d.tileUnit.Name()
	}
	return BLAS()
}

// UseTiles makes linear layers and their gradients multiply on the tile unit (AMX) if this processor has one, which
// reports UseTiles. Results then differ in the last bits from those of other processors. Layers whose weight has a
// dimension below leastTiled and all other ops are as before.
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

// shareTiles does what share does, on the tile unit. The workers pack a block of the first factor together before they
// read it. They do the same with the second factor if there are many rows. For few rows, each worker packs the panels
// that it multiplies with, which are then still in its cache.
func (d *Device[T]) shareTiles(p product[T], finish func(i0, i1, j0, j1 int)) {
	at := tiling{m: p.m, n: p.n, k: p.k, parts: 3}
	if p.weights != nil {
		at.parts = p.weights.Parts()
	}
	const side = sgemm.TileSide
	t, inner := d.tileUnit, min(sgemm.TileInner, p.k)
	left := sized(&d.tilesLeft, t.PackedLeft(min(tiledRows, p.m), inner))
	var right []uint16
	if p.m > fewRows {
		right = sized(&d.tilesRight, t.PackedRight(inner, min(columnBlock, p.n), at.parts))
	}
	packRight := func(to []uint16, b tileBlock, j int, s *sgemm.Scratch) {
		n := min(side, b.n-j)
		if p.weights != nil {
			p.weights.PackTiles(to, p.b.trans, b.l, b.k, b.j+j, n, s)
		} else {
			t.PackRight(to, p.b.at(b.l, b.j+j).single(), b.k, n, s)
		}
	}
	d.team.Stages(d.workers, 2*at.blocks(), func(stage int) int {
		b := at.block(stage / 2)
		switch {
		case stage%2 == 1:
			return b.down * b.across
		case p.m <= fewRows:
			return b.strips
		}
		return b.strips + b.panels
	}, func(w, stage, part int) {
		b, s := at.block(stage/2), &d.scratch[w].product
		if stage%2 == 0 {
			lo := part * side
			if part < b.strips {
				t.PackLeft(left[t.PackedLeft(lo, b.k):], p.a.at(b.i+lo, b.l).single(), min(side, b.m-lo), b.k, s)
			} else {
				lo -= b.strips * side
				packRight(right[t.PackedRight(b.k, lo, at.parts):], b, lo, s)
			}
			return
		}
		// Rows vary fastest, so that workers read the same panels.
		i, j0 := part%b.down*b.rows, part/b.down*b.columns
		m, j1 := min(b.rows, b.m-i), min(j0+b.columns, b.n)
		for j := j0; j < j1; j += side {
			var panel []uint16
			if p.m <= fewRows {
				panel = sized(&d.scratch[w].panel, t.PackedRight(inner, side, at.parts))
				packRight(panel, b, j, s)
			} else {
				panel = right[t.PackedRight(b.k, j, at.parts):]
			}
			t.Multiply(m, min(side, b.n-j), b.k, float32(p.alpha), left[t.PackedLeft(i, b.k):], panel, at.parts,
				p.accumulate || b.l > 0, as32(p.dst.data[(b.i+i)*p.dst.stride+b.j+j:]), p.dst.stride, s)
		}
		if b.l+b.k == p.k {
			finish(b.i+i, b.i+i+m, b.j+j0, b.j+j1)
		}
	})
}

// tiling is how a product [m,n] with inner indices k is divided for the tile unit. parts is the number of parts of the
// second factor.
type tiling struct{ m, n, k, parts int }

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
	strips := partStrips
	if t.m <= fewRows {
		strips = b.strips
	}
	// Parts have nearly equal sizes.
	b.rows = ceil(b.strips, ceil(b.strips, strips))
	b.down = ceil(b.strips, b.rows)
	b.columns = ceil(b.panels, min(b.panels, ceil(leastParts, b.down)))
	b.across = ceil(b.panels, b.columns)
	b.rows, b.columns = b.rows*sgemm.TileSide, b.columns*sgemm.TileSide
	return b
}
