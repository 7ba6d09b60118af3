//go:build cuda && cgo && linux && amd64

package gpu

import "lor2c/internal/compute"

const (
	// rowRank is the largest rank of the kernels in lowrank.cu.
	rowRank = 16
	// segment is the columns of a block there, tile those of lowrank_wide.cu.
	segment, tile = 256, 64
	// gradientBlocks is about how many blocks a factor's gradient is spread
	// over: three for each multiprocessor of the largest card.
	gradientBlocks = 512
)

// factor is A [R,K], or B [M,R], which the kernels read transposed.
type factor struct {
	w          ptr
	cols, rank int
	transposed bool
}

func (d *Device) lowRankA(a compute.Tensor) factor {
	return factor{d.at(a), a.Shape.Cols(), a.Shape.Rows(), false}
}

func (d *Device) lowRankB(b compute.Tensor) factor {
	return factor{d.at(b), b.Shape.Rows(), b.Shape.Cols(), true}
}

// named returns the kernel of op that the factor's rank asks for.
func (f factor) named(d *Device, op string) string {
	switch {
	case f.rank <= rowRank/2:
		return d.named("lowrank_" + op + "_r8")
	case f.rank <= rowRank:
		return d.named("lowrank_" + op + "_r16")
	}
	return d.named("lowrank_wide_" + op)
}

// wide reports whether the kernels are those of lowrank_wide.cu.
func (f factor) wide() bool { return f.rank > rowRank }

// aligned reports whether 8 columns of rows [cols] at x lie at whole 16 bytes;
// the row kernels ask the same of the factor with one flag.
func (f factor) aligned(x ptr) uint32 {
	if f.transposed || f.wide() {
		return whole(f.cols, x)
	}
	return whole(f.cols, x, f.w)
}

// alignedRows is the flag for the factor's own rows.
func (f factor) alignedRows() uint32 {
	if f.transposed {
		return whole(f.rank, f.w)
	}
	return whole(f.cols, f.w)
}

// whole returns 1 where rows of cols elements that begin at these addresses can
// be read 16 bytes at a time.
func whole(cols int, at ...ptr) uint32 {
	for _, p := range at {
		if p%16 != 0 {
			return 0
		}
	}
	return flag(cols%8 == 0)
}

// flag returns b as kernels take it.
func flag(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

// LowRank computes dst += scale (dropout(x) AT) BT.
func (d *Device) LowRank(dst, u, x, a, b compute.Tensor, scale float32, drop compute.Dropout) {
	n := x.Shape.Rows()
	d.lowRankDown(d.at(u), d.at(x), d.lowRankA(a), n, 1, drop)
	d.lowRankUp(d.at(dst), d.at(u), d.lowRankB(b), n, scale, compute.Dropout{}, true)
}

// LowRankGrad is the gradient of LowRank.
func (d *Device) LowRankGrad(dx, da, db, x, u, a, b, dy compute.Tensor, scale float32, drop compute.Dropout, accumulate bool) {
	n := x.Shape.Rows()
	down, up := d.lowRankA(a), d.lowRankB(b)
	bytes := (int64(4*n*down.rank) + compute.Align - 1) / compute.Align * compute.Align
	du := d.scratch(bytes)
	d.lowRankDown(du, d.at(dy), up, n, scale, compute.Dropout{})
	d.lowRankGradient(0, d.at(db), d.at(u), d.at(dy), up, n, bytes, scale, compute.Dropout{}, false)
	d.lowRankGradient(d.at(dx), d.at(da), du, d.at(x), down, n, bytes, 1, drop, accumulate)
}

type lowRankDownArgs struct {
	u, x, w, n             ptr
	drop                   dropoutArgs
	cols, rank             int32
	scale                  float32
	aligned, transposed, _ uint32
}

type lowRankUpArgs struct {
	dst, u, w, n           ptr
	cols, rank             int32
	scale                  float32
	aligned, transposed, _ uint32
}

type lowRankGradientArgs struct {
	dw, partial, dx, u, x, w, n     ptr
	drop                            dropoutArgs
	cols, rank, partRows, stride    int32
	scale                           float32
	aligned, transposed, accumulate uint32
}

type lowRankWideArgs struct {
	out, u, x, w, n              ptr
	drop                         dropoutArgs
	cols, rank, partRows, stride int32
	scale                        float32
	aligned, alignedW, alignedU  uint32
	transposed, accumulate       uint32
}

type lowRankAddArgs struct {
	dst, partial     ptr
	n, parts, stride int32
	_                uint32
}

// lowRankDown computes u = scale dropout(x) WT.
func (d *Device) lowRankDown(u, x ptr, f factor, n int, scale float32, drop compute.Dropout) {
	if f.wide() {
		launch(d, f.named(d, "down"), grid{x: ceil(class(n), tile), y: ceil(f.rank, tile)}, 256, 0, lowRankWideArgs{
			out: u, x: x, w: f.w, n: d.count(n), drop: d.dropout(drop), cols: int32(f.cols), rank: int32(f.rank), scale: scale,
			aligned: f.aligned(x), alignedW: f.alignedRows(), transposed: flag(f.transposed),
		})
		return
	}
	launch(d, f.named(d, "down"), grid{x: ceil(class(n), 32)}, 256, 0, lowRankDownArgs{
		u: u, x: x, w: f.w, n: d.count(n), drop: d.dropout(drop), cols: int32(f.cols), rank: int32(f.rank), scale: scale,
		aligned: f.aligned(x), transposed: flag(f.transposed),
	})
}

// lowRankUp computes dst = dropout(scale u W), or adds it. The row kernel does
// no more than add without dropout; the rest of it is lowRankGradient there.
func (d *Device) lowRankUp(dst, u ptr, f factor, n int, scale float32, drop compute.Dropout, accumulate bool) {
	if f.wide() {
		launch(d, f.named(d, "up"), grid{x: ceil(class(n), tile), y: ceil(f.cols, tile)}, 256, 0, lowRankWideArgs{
			out: dst, u: u, w: f.w, n: d.count(n), drop: d.dropout(drop), cols: int32(f.cols), rank: int32(f.rank), scale: scale,
			aligned: f.aligned(dst), alignedW: f.alignedRows(), alignedU: whole(f.rank, u),
			transposed: flag(f.transposed), accumulate: flag(accumulate),
		})
		return
	}
	launch(d, f.named(d, "up"), grid{x: ceil(class(n), 64), y: ceil(f.cols, segment)}, 256, 0, lowRankUpArgs{
		dst: dst, u: u, w: f.w, n: d.count(n), cols: int32(f.cols), rank: int32(f.rank), scale: scale,
		aligned: f.aligned(dst), transposed: flag(f.transposed),
	})
}

// lowRankGradient computes dw += scale uT dropout(x) and dx = dropout(scale u W),
// or adds to dx; either may be absent. The first bytes of scratch memory stay.
func (d *Device) lowRankGradient(dx, dw, u, x ptr, f factor, n int, bytes int64, scale float32, drop compute.Dropout, accumulate bool) {
	if f.wide() && dx != 0 {
		d.lowRankUp(dx, u, f, n, scale, drop, accumulate)
	}
	if dw == 0 && (dx == 0 || f.wide()) {
		return
	}
	// What follows are constants of the shape class, so that sums are too.
	blocks, stride := ceil(f.cols, segment), ceil(f.rank*f.cols, 4)*4
	if f.wide() {
		blocks = ceil(f.cols, tile) * ceil(f.rank, tile)
	}
	parts := min(ceil(gradientBlocks, blocks), ceil(class(n), 64), int((scratchBytes-bytes)/int64(4*stride)))
	rows := ceil(ceil(class(n), max(parts, 1)), 64) * 64
	parts = max(ceil(class(n), max(rows, 1)), 1)
	partial := ptr(0)
	if parts > 1 {
		partial = d.scratch(bytes+int64(4*stride*parts)) + ptr(bytes)
	}
	if f.wide() {
		out := partial
		if parts == 1 {
			out = dw
		}
		launch(d, f.named(d, "gradient"), grid{parts, ceil(f.cols, tile), ceil(f.rank, tile)}, 256, 0, lowRankWideArgs{
			out: out, u: u, x: x, n: d.count(n), drop: d.dropout(drop), cols: int32(f.cols), rank: int32(f.rank),
			partRows: int32(rows), stride: int32(stride), scale: scale, aligned: f.aligned(x), alignedU: whole(f.rank, u),
			transposed: flag(f.transposed), accumulate: flag(parts == 1),
		})
	} else {
		launch(d, f.named(d, "gradient"), grid{x: parts, y: blocks}, 256, 0, lowRankGradientArgs{
			dw: dw, partial: partial, dx: dx, u: u, x: x, w: f.w, n: d.count(n), drop: d.dropout(drop),
			cols: int32(f.cols), rank: int32(f.rank), partRows: int32(rows), stride: int32(stride), scale: scale,
			aligned: f.aligned(x) & whole(f.cols, dx), transposed: flag(f.transposed), accumulate: flag(accumulate),
		})
	}
	if dw != 0 && parts > 1 {
		launch(d, "lowrank_add_f32", grid{x: ceil(f.rank*f.cols, 128)}, 256, 0, lowRankAddArgs{
			dst: dw, partial: partial, n: int32(f.rank * f.cols), parts: int32(parts), stride: int32(stride),
		})
	}
}
