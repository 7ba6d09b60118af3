//go:build cuda && cgo && linux && amd64

package gpu

import "github.com/lor2c/lor2c/internal/compute"

const (
	// rowRank is the largest rank of the kernels in lowrank.cu.
	rowRank = 16
	// segment is the number of columns of a block in lowrank.cu, and tile that in lowrank_wide.cu.
	segment, tile = 256, 64
)

// gradientBlocks is the approximate number of blocks for the gradient of a factor: three for each multiprocessor of
// the largest card. A test sets it lower, so that parts have many rows even if the tensors are small.
var gradientBlocks = 512

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

// named returns the name of the kernel of op for the rank of the factor.
func (f factor) named(d *Device, op string) string {
	switch {
	case f.rank <= rowRank/2:
		return d.named("lowrank_" + op + "_r8")
	case f.rank <= rowRank:
		return d.named("lowrank_" + op + "_r16")
	}
	return d.named("lowrank_wide_" + op)
}

// wide reports whether the kernels of lowrank_wide.cu are used.
func (f factor) wide() bool { return f.rank > rowRank }

// aligned returns 1 if groups of 8 columns of the rows at x begin at multiples of 16 bytes. For the row kernels,
// which have one flag for both, the same must hold for the factor.
func (f factor) aligned(x ptr) uint32 {
	if f.transposed || f.wide() {
		return aligned16(f.cols, x)
	}
	return aligned16(f.cols, x, f.w)
}

// alignedRows returns 1 if groups of 8 columns of the factor begin at multiples of 16 bytes.
func (f factor) alignedRows() uint32 {
	if f.transposed {
		return aligned16(f.rank, f.w)
	}
	return aligned16(f.cols, f.w)
}

// LowRankDown computes u = dropout(x) AT.
func (d *Device) LowRankDown(u, x, a compute.Tensor, drop compute.Dropout) {
	if groups := groupsOf(x.Shape.Cols(), u.Shape.Cols(), a); groups > 1 {
		d.groupedDown(u, x, d.groupedA(a, groups), groups, 1, drop)
		return
	}
	if d.fuseDown(u, x, a, drop) {
		return
	}
	d.lowRankDown(u, x, d.lowRankA(a), 1, drop)
}

// LowRankDownGrad computes the gradient of LowRankDown.
func (d *Device) LowRankDownGrad(dx, da, x, a, du compute.Tensor, drop compute.Dropout, accumulate bool) {
	groups := groupsOf(widest(x, dx), du.Shape.Cols(), a)
	if groups == 1 {
		d.lowRankGradient(dx, da, du, x, d.lowRankA(a), 1, drop, accumulate)
		return
	}
	f := d.groupedA(a, groups)
	if dx.Present() {
		d.groupedUp(dx, du, f, groups, 1, drop, accumulate)
	}
	if da.Present() {
		d.groupedGradient(da, du, x, f, groups, 1, drop)
	}
}

// LowRankUp computes dst += scale u BT.
func (d *Device) LowRankUp(dst, u, b compute.Tensor, scale float32) {
	if groups := groupsOf(dst.Shape.Cols(), u.Shape.Cols(), b); groups > 1 {
		d.groupedUp(dst, u, d.groupedB(b, groups), groups, scale, compute.Dropout{}, true)
		return
	}
	if d.fuseUp(dst, u, b, scale) {
		return
	}
	d.lowRankUp(dst, u, d.lowRankB(b), scale, compute.Dropout{}, true)
}

// LowRankUpGrad computes the gradient of LowRankUp.
func (d *Device) LowRankUpGrad(du, db, u, b, dy compute.Tensor, scale float32) {
	if groups := groupsOf(dy.Shape.Cols(), widest(u, du), b); groups > 1 {
		f := d.groupedB(b, groups)
		if du.Present() {
			d.groupedDown(du, dy, f, groups, scale, compute.Dropout{})
		}
		if db.Present() {
			d.groupedGradient(db, u, dy, f, groups, scale, compute.Dropout{})
		}
		return
	}
	f := d.lowRankB(b)
	if du.Present() {
		d.lowRankDown(du, dy, f, scale, compute.Dropout{})
	}
	d.lowRankGradient(compute.Tensor{}, db, u, dy, f, scale, compute.Dropout{}, false)
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
func (d *Device) lowRankDown(u, x compute.Tensor, f factor, scale float32, drop compute.Dropout) {
	rows, n, mask := class(x.Shape.Rows()), d.count(x.Shape.Rows()), d.dropout(drop)
	to, from := d.at(u), d.at(x)
	if f.wide() {
		launch(d, f.named(d, "down"), grid{x: ceil(rows, tile), y: ceil(f.rank, tile)}, 256, 0, lowRankWideArgs{
			out: to, x: from, w: f.w, n: n, drop: mask, cols: int32(f.cols), rank: int32(f.rank), scale: scale,
			aligned: f.aligned(from), alignedW: f.alignedRows(), transposed: boolArg(f.transposed),
		})
		return
	}
	launch(d, f.named(d, "down"), grid{x: ceil(rows, 32)}, 256, 0, lowRankDownArgs{
		u: to, x: from, w: f.w, n: n, drop: mask, cols: int32(f.cols), rank: int32(f.rank), scale: scale,
		aligned: f.aligned(from), transposed: boolArg(f.transposed),
	})
}

// lowRankUp computes dst = dropout(scale u W), or adds it to dst. The row kernel can only add without dropout; for
// ranks that it handles, lowRankGradient does the rest.
func (d *Device) lowRankUp(dst, u compute.Tensor, f factor, scale float32, drop compute.Dropout, accumulate bool) {
	rows, n := class(u.Shape.Rows()), d.count(u.Shape.Rows())
	to, from := d.at(dst), d.at(u)
	if f.wide() {
		launch(d, f.named(d, "up"), grid{x: ceil(rows, tile), y: ceil(f.cols, tile)}, 256, 0, lowRankWideArgs{
			out: to, u: from, w: f.w, n: n, drop: d.dropout(drop), cols: int32(f.cols), rank: int32(f.rank), scale: scale,
			aligned: f.aligned(to), alignedW: f.alignedRows(), alignedU: aligned16(f.rank, from),
			transposed: boolArg(f.transposed), accumulate: boolArg(accumulate),
		})
		return
	}
	launch(d, f.named(d, "up"), grid{x: ceil(rows, 64), y: ceil(f.cols, segment)}, 256, 0, lowRankUpArgs{
		dst: to, u: from, w: f.w, n: n, cols: int32(f.cols), rank: int32(f.rank), scale: scale,
		aligned: f.aligned(to), transposed: boolArg(f.transposed),
	})
}

// lowRankGradient computes dw += scale uT dropout(x) and dx = dropout(scale u W), which is added to dx if accumulate
// is set. Either may be absent.
func (d *Device) lowRankGradient(
	dx, dw, u, x compute.Tensor, f factor, scale float32, drop compute.Dropout, accumulate bool,
) {
	if f.wide() && dx.Present() {
		d.lowRankUp(dx, u, f, scale, drop, accumulate)
		dx = compute.Tensor{}
	}
	if !dw.Present() && !dx.Present() {
		return
	}
	s := f.split(u.Shape.Rows())
	toW, toX, fromU, fromX := d.at(dw), d.at(dx), d.at(u), d.at(x)
	partial, out := ptr(0), toW
	if s.parts > 1 && dw.Present() {
		partial = d.scratch(int64(4 * s.stride * s.parts))
		out = partial
	}
	n, mask := d.count(u.Shape.Rows()), d.dropout(drop)
	if f.wide() {
		launch(d, f.named(d, "gradient"), grid{s.parts, ceil(f.cols, tile), ceil(f.rank, tile)}, 256, 0, lowRankWideArgs{
			out: out, u: fromU, x: fromX, n: n, drop: mask, cols: int32(f.cols), rank: int32(f.rank),
			partRows: int32(s.rows), stride: int32(s.stride), scale: scale, aligned: f.aligned(fromX),
			alignedU: aligned16(f.rank, fromU), transposed: boolArg(f.transposed), accumulate: boolArg(s.parts == 1),
		})
	} else {
		launch(d, f.named(d, "gradient"), grid{x: s.parts, y: ceil(f.cols, segment)}, 256, 0, lowRankGradientArgs{
			dw: toW, partial: partial, dx: toX, u: fromU, x: fromX, w: f.w, n: n, drop: mask,
			cols: int32(f.cols), rank: int32(f.rank), partRows: int32(s.rows), stride: int32(s.stride), scale: scale,
			aligned: f.aligned(fromX) & aligned16(f.cols, toX), transposed: boolArg(f.transposed),
			accumulate: boolArg(accumulate),
		})
	}
	if partial != 0 {
		launch(d, "lowrank_add_f32", grid{x: ceil(f.rank*f.cols, 128)}, 256, 0, lowRankAddArgs{
			dst: toW, partial: partial, n: d.size(f.rank * f.cols), parts: int32(s.parts), stride: int32(s.stride),
		})
	}
}

// split describes how the rows of a factor's gradient are divided: the number of parts, the rows of each part, and
// the distance in elements between the sums of two parts.
type split struct{ parts, rows, stride int }

// split depends only on the factor's shape and the class of n rows, and so does the order of additions.
func (f factor) split(n int) split {
	blocks := ceil(f.cols, segment)
	if f.wide() {
		blocks = ceil(f.cols, tile) * ceil(f.rank, tile)
	}
	s := split{stride: ceil(f.rank*f.cols, 4) * 4}
	parts := max(1, min(ceil(gradientBlocks, blocks), scratchBytes/(4*s.stride)))
	s.rows = max(ceil(ceil(class(n), parts), 64), 1) * 64
	s.parts = max(ceil(class(n), s.rows), 1)
	return s
}
