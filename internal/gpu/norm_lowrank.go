//go:build cuda && cgo && linux && amd64

package gpu

import "github.com/lor2c/lor2c/internal/compute"

// fusedShared is the shared memory that a block has on the smallest card, and
// fusedRows the rows it takes.
const fusedShared, fusedRows = 96 << 10, 32

type layerNormLowRankArgs struct {
	norm             layerNormArgs
	upU, upW         ptr
	downU, downW     ptr
	downDrop         dropoutArgs
	upRank, downRank int32
	upScale          float32
	aligned          uint32
}

// openRow is a LayerNorm with a warp a row that was launched last of all: what
// comes next may still be done with its rows, in the launch that replaces it.
type openRow struct {
	serial int // of the queue, after its launch
	rows   int
	args   layerNormLowRankArgs
}

// rowUp does a LowRankUp together with the norm that has just written dst, and
// reports whether it can.
func (d *Device) rowUp(dst, u, b compute.Tensor, scale float32) bool {
	a := d.row.args
	if d.at(dst) != a.norm.dst || a.upW != 0 || a.downW != 0 {
		return false
	}
	a.upU, a.upW, a.upRank, a.upScale = d.at(u), d.at(b), int32(u.Shape.Cols()), scale
	return d.reopen(a, u.Shape.Rows())
}

// rowDown does so with a LowRankDown of what the norm, or a LowRankUp after it,
// has just written.
func (d *Device) rowDown(u, x, w compute.Tensor, drop compute.Dropout) bool {
	a := d.row.args
	if d.at(x) != a.norm.dst || a.downW != 0 {
		return false
	}
	a.downU, a.downW, a.downRank, a.downDrop = d.at(u), d.at(w), int32(u.Shape.Cols()), d.dropout(drop)
	a.aligned = aligned16(x.Shape.Cols(), a.downW)
	return d.reopen(a, x.Shape.Rows())
}

// reopen replaces the last launch by one that does all of a, unless something
// else was launched since or a block would need too much shared memory.
func (d *Device) reopen(a layerNormLowRankArgs, rows int) bool {
	if !d.queue.last(d.row.serial) || rows != d.row.rows || max(a.upRank, a.downRank) > rowRank {
		return false
	}
	ranks, op := rowRank/2, "layernorm_lowrank_r8"
	if max(a.upRank, a.downRank) > rowRank/2 {
		ranks, op = rowRank, "layernorm_lowrank_r16"
	}
	shared := 0
	for _, w := range []ptr{a.upW, a.downW} {
		if w != 0 {
			shared += ranks * (int(a.norm.cols)*int(d.Bytes(compute.Working)) + 16)
		}
	}
	if shared > fusedShared {
		return false
	}
	d.queue.retract()
	launch(d, d.named(op), grid{x: ceil(class(rows), fusedRows)}, 128, shared, a)
	d.row = openRow{serial: d.queue.serial, rows: rows, args: a}
	return true
}
