//go:build cuda && cgo && linux && amd64

package gpu

import "github.com/lor2c/lor2c/internal/compute"

// fusedShared is the shared memory that a block may use on every card, and fusedRows the number of rows that it
// processes.
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

// fusableNorm is the most recent launch of a LayerNorm that has a warp for each row. If it is still the last launch
// of the queue, the ops that follow may be fused into it.
type fusableNorm struct {
	serial int // serial of the queue after the launch
	rows   int
	args   layerNormLowRankArgs
}

// fuseUp fuses a LowRankUp with the norm that has just written dst, and reports whether that was possible.
func (d *Device) fuseUp(dst, u, b compute.Tensor, scale float32) bool {
	a := d.lastNorm.args
	if d.at(dst) != a.norm.dst || a.upW != 0 || a.downW != 0 {
		return false
	}
	a.upU, a.upW, a.upRank, a.upScale = d.at(u), d.at(b), int32(u.Shape.Cols()), scale
	return d.fuse(a, u.Shape.Rows())
}

// fuseDown fuses a LowRankDown with the norm that has just written x, or with that norm and a LowRankUp after it, and
// reports whether that was possible.
func (d *Device) fuseDown(u, x, w compute.Tensor, drop compute.Dropout) bool {
	a := d.lastNorm.args
	if d.at(x) != a.norm.dst || a.downW != 0 {
		return false
	}
	a.downU, a.downW, a.downRank, a.downDrop = d.at(u), d.at(w), int32(u.Shape.Cols()), d.dropout(drop)
	a.aligned = aligned16(x.Shape.Cols(), a.downW)
	return d.fuse(a, x.Shape.Rows())
}

// fuse replaces the norm's launch by one that does all of a. It returns false if the norm is no longer the last
// launch, if a rank is above 16, or if a block would need too much shared memory.
func (d *Device) fuse(a layerNormLowRankArgs, rows int) bool {
	if !d.queue.isLast(d.lastNorm.serial) || rows != d.lastNorm.rows || max(a.upRank, a.downRank) > rowRank {
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
	d.queue.undoLaunch()
	launch(d, d.named(op), grid{x: ceil(class(rows), fusedRows)}, 128, shared, a)
	d.lastNorm = fusableNorm{serial: d.queue.serial, rows: rows, args: a}
	return true
}
