//go:build cuda && cgo && linux && amd64

package gpu

import "github.com/lor2c/lor2c/internal/compute"

const (
	// rowRank is the largest rank of the kernels in lowrank.cu.
	rowRank = 16
	// segment is the number of columns of a block in lowrank.cu, and tile that in lowrank_wide.cu.
	segment, tile = 256, 64
	// groupRanks is the number of ranks that a block of lowrank_grouped.cu computes.
	groupRanks = 8
)

// gradientBlocks is the approximate number of blocks for the gradient of a factor: three for each multiprocessor of
// the largest card. A test sets it lower, so that parts have many rows even if the tensors are small.
var gradientBlocks = 512

// factor is A [R,K], or B [M,R], which the kernels read transposed. If it has groups (see compute.Matmul), cols and
// rank are those of one group.
type factor struct {
	w                  ptr
	cols, rank, groups int
	transposed         bool
}

// lowRankA returns the factor a of a path from k columns to r ranks.
func (d *Device) lowRankA(a compute.Tensor, k, r int) factor {
	groups := groupsOf(a, k, r)
	return factor{d.at(a), a.Shape.Cols(), a.Shape.Rows() / groups, groups, false}
}

// lowRankB returns the factor b of a path from r ranks to m columns.
func (d *Device) lowRankB(b compute.Tensor, m, r int) factor {
	groups := groupsOf(b, m, r)
	return factor{d.at(b), b.Shape.Rows() / groups, b.Shape.Cols(), groups, true}
}

// groupsOf returns the number of groups of a factor between cols columns and r ranks.
func groupsOf(w compute.Tensor, cols, r int) int { return max(1, cols*r/max(w.Shape.Len(), 1)) }

// widest returns the number of columns of the tensors that are present, or 0.
func widest(xs ...compute.Tensor) (cols int) {
	for _, x := range xs {
		if x.Present() {
			cols = x.Shape.Cols()
		}
	}
	return cols
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

// len returns the number of elements.
func (f factor) len() int { return f.groups * f.rank * f.cols }

// wide reports whether the kernels of lowrank_wide.cu are used for a factor without groups.
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
	f := d.lowRankA(a, x.Shape.Cols(), u.Shape.Cols())
	if f.groups > 1 || !d.fuseDown(u, x, a, drop) {
		d.lowRankDown(u, x, f, 1, drop)
	}
}

// LowRankDownGrad computes the gradient of LowRankDown.
func (d *Device) LowRankDownGrad(dx, da, x, a, du compute.Tensor, drop compute.Dropout, accumulate bool) {
	d.lowRankGradient(dx, da, du, x, d.lowRankA(a, widest(x, dx), du.Shape.Cols()), 1, drop, accumulate)
}

// LowRankUp computes dst += scale u BT.
func (d *Device) LowRankUp(dst, u, b compute.Tensor, scale float32) {
	f := d.lowRankB(b, dst.Shape.Cols(), u.Shape.Cols())
	if f.groups > 1 || !d.fuseUp(dst, u, b, scale) {
		d.lowRankUp(dst, u, f, scale, compute.Dropout{}, true)
	}
}

// LowRankUpGrad computes the gradient of LowRankUp.
func (d *Device) LowRankUpGrad(du, db, u, b, dy compute.Tensor, scale float32) {
	f := d.lowRankB(b, dy.Shape.Cols(), widest(u, du))
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

// groupedArgs has the fields of struct GroupedArgs.
type groupedArgs struct {
	out, u, x, w, n     ptr
	drop                dropoutArgs
	groups, cols, ranks int32
	colStep, rankStep   int32
	partRows, stride    int32
	scale               float32
	accumulate, _       uint32
}

type lowRankAddArgs struct {
	dst, partial     ptr
	n, parts, stride int32
	turn             int32
}

// grouped returns the arguments for n rows of a path with a factor in groups.
func (d *Device) grouped(n int, f factor, scale float32, drop compute.Dropout) groupedArgs {
	a := groupedArgs{
		w: f.w, n: d.count(n), drop: d.dropout(drop), groups: int32(f.groups), cols: int32(f.cols), ranks: int32(f.rank),
		colStep: 1, rankStep: int32(f.cols), scale: scale,
	}
	if f.transposed {
		a.colStep, a.rankStep = int32(f.rank), 1
	}
	return a
}

// lowRankDown computes u = scale dropout(x) WT.
func (d *Device) lowRankDown(u, x compute.Tensor, f factor, scale float32, drop compute.Dropout) {
	rows, to, from := class(x.Shape.Rows()), d.at(u), d.at(x)
	if f.groups > 1 {
		a := d.grouped(x.Shape.Rows(), f, scale, drop)
		a.out, a.x = to, from
		launch(d, d.named("grouped_down"), grid{ceil(rows, 32), f.groups, ceil(f.rank, groupRanks)}, 256, 0, a)
		return
	}
	n, mask := d.count(x.Shape.Rows()), d.dropout(drop)
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
	rows, to, from := class(u.Shape.Rows()), d.at(dst), d.at(u)
	if f.groups > 1 {
		a := d.grouped(u.Shape.Rows(), f, scale, drop)
		a.out, a.u, a.accumulate = to, from, boolArg(accumulate)
		launch(d, d.named("grouped_up"), grid{x: ceil(rows*f.groups*f.cols, 256)}, 256, 0, a)
		return
	}
	n := d.count(u.Shape.Rows())
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
	if (f.wide() || f.groups > 1) && dx.Present() {
		d.lowRankUp(dx, u, f, scale, drop, accumulate)
		dx = compute.Tensor{}
	}
	if !dw.Present() && !dx.Present() {
		return
	}
	s := f.split(u.Shape.Rows())
	toW, toX, fromU, fromX := d.at(dw), d.at(dx), d.at(u), d.at(x)
	partial, out := ptr(0), toW
	if dw.Present() && (s.parts > 1 || f.groups > 1) {
		partial = d.scratch(int64(4 * s.stride * s.parts))
		out = partial
	}
	if f.groups > 1 {
		a := d.grouped(u.Shape.Rows(), f, scale, drop)
		a.out, a.u, a.x, a.partRows, a.stride = out, fromU, fromX, int32(s.rows), int32(s.stride)
		g := grid{ceil(f.groups*f.cols, 256), s.parts, ceil(f.rank, groupRanks)}
		launch(d, d.named("grouped_gradient"), g, 256, 0, a)
	} else if n, mask := d.count(u.Shape.Rows()), d.dropout(drop); f.wide() {
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
		turn := 0
		if f.transposed && f.groups == 1 && !f.wide() {
			turn = f.rank
		}
		launch(d, "lowrank_add_f32", grid{x: ceil(f.len(), 128)}, 256, 0, lowRankAddArgs{
			dst: toW, partial: partial, n: d.size(f.len()), parts: int32(s.parts), stride: int32(s.stride),
			turn: int32(turn),
		})
	}
}

// split describes how the rows of a factor's gradient are divided: the number of parts, the rows of each part, and
// the distance in elements between the sums of two parts.
type split struct{ parts, rows, stride int }

// split depends only on the factor's shape and the class of n rows, and so does the order of additions.
func (f factor) split(n int) split {
	blocks := ceil(f.cols, segment)
	switch {
	case f.groups > 1:
		blocks = ceil(f.groups*f.cols, 256) * ceil(f.rank, groupRanks)
	case f.wide():
		blocks = ceil(f.cols, tile) * ceil(f.rank, tile)
	}
	s := split{stride: ceil(f.len(), 4) * 4}
	parts := max(1, min(ceil(gradientBlocks, blocks), scratchBytes/(4*s.stride)))
	s.rows = max(ceil(ceil(class(n), parts), 64), 1) * 64
	s.parts = max(ceil(class(n), s.rows), 1)
	return s
}
