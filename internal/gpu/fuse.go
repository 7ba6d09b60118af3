//go:build cuda && cgo && linux && amd64

package gpu

import "github.com/lor2c/lor2c/internal/compute"

// This file fuses an op with the launch before it: if that launch is still the last of the queue, it is removed and
// one launch that does the work of both is queued instead. There are two such pairs:
//
//	LayerNorm     LowRankUp and LowRankDown after it    fuseUp, fuseDown
//	a product     ActGrad of its result, in place       fuseActGrad
//
// Products of one size are in join.go.
//
// An op first asks for the fusion and queues its own kernel if it is not possible. docs/adr/0013-row-fusion.md has the
// reasons.

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

// fusableProduct is the most recent launch with an epilogue. If it is still the last launch of the queue, the next op
// may be fused into it.
type fusableProduct struct {
	serial int // of the queue, after the launch
	kernel string
	grid   grid
	block  int
	args   matmulArgs
	// elements is the number of elements of dst
	elements int
}

// fuseActGrad fuses an ActGrad in place with the product that has just written dx [M,N], and reports whether that was
// possible. The bits of the result are those of two launches, because the epilogue rounds where the product would
// have.
func (d *Device) fuseActGrad(act compute.Act, dx, pre, dy compute.Tensor) bool {
	p := d.lastProduct
	out := &p.args.out
	if !d.queue.isLast(p.serial) || d.at(dx) != out.dst || d.at(dy) != out.dst ||
		dx.Shape.Len() != p.elements || out.pre != 0 || out.act != 0 || out.full != boolArg(!d.narrow) {
		return false
	}
	out.pre, out.act, out.slope = d.at(pre), int32(act), 1
	d.queue.undoLaunch()
	d.launchProduct(p.kernel, p.grid, p.block, p.args, p.elements)
	return true
}
