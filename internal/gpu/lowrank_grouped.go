//go:build cuda && cgo && linux && amd64

package gpu

import "github.com/lor2c/lor2c/internal/compute"

// groupRanks is the number of ranks that a block of a grouped kernel computes.
const groupRanks = 8

// groupedArgs is the Go twin of struct GroupedArgs.
type groupedArgs struct {
	out, u, x, w, n     ptr
	drop                dropoutArgs
	groups, cols, ranks int32
	colStep, rankStep   int32
	partRows, stride    int32
	scale               float32
	accumulate, _       uint32
}

// groupsOf returns the number of groups of a low-rank path between k columns and r ranks; see compute.Matmul.
func groupsOf(k, r int, factor compute.Tensor) int { return max(1, k*r/max(factor.Shape.Len(), 1)) }

// grouped returns the arguments for n rows of a path with a factor in the given number of groups.
func (d *Device) grouped(n int, f factor, groups int, scale float32, drop compute.Dropout) groupedArgs {
	a := groupedArgs{
		w: f.w, n: d.count(n), drop: d.dropout(drop), groups: int32(groups), cols: int32(f.cols), ranks: int32(f.rank),
		colStep: 1, rankStep: int32(f.cols), scale: scale,
	}
	if f.transposed {
		a.colStep, a.rankStep = int32(f.rank), 1
	}
	return a
}

// groupedA and groupedB return the factor of one group.
func (d *Device) groupedA(a compute.Tensor, groups int) factor {
	return factor{d.at(a), a.Shape.Cols(), a.Shape.Rows() / groups, false}
}

func (d *Device) groupedB(b compute.Tensor, groups int) factor {
	return factor{d.at(b), b.Shape.Rows() / groups, b.Shape.Cols(), true}
}

// groupedDown computes u = scale dropout(x) WT.
func (d *Device) groupedDown(u, x compute.Tensor, f factor, groups int, scale float32, drop compute.Dropout) {
	n := x.Shape.Rows()
	a := d.grouped(n, f, groups, scale, drop)
	a.out, a.x = d.at(u), d.at(x)
	launch(d, d.named("grouped_down"), grid{ceil(class(n), 32), groups, ceil(f.rank, groupRanks)}, 256, 0, a)
}

// groupedUp computes y = dropout(scale u W), or adds it to y.
func (d *Device) groupedUp(
	y, u compute.Tensor, f factor, groups int, scale float32, drop compute.Dropout, accumulate bool,
) {
	n := u.Shape.Rows()
	a := d.grouped(n, f, groups, scale, drop)
	a.out, a.u, a.accumulate = d.at(y), d.at(u), boolArg(accumulate)
	launch(d, d.named("grouped_up"), grid{x: ceil(class(n)*groups*f.cols, 256)}, 256, 0, a)
}

// groupedGradient computes dw += scale uT dropout(x).
func (d *Device) groupedGradient(dw, u, x compute.Tensor, f factor, groups int, scale float32, drop compute.Dropout) {
	n, size := x.Shape.Rows(), dw.Shape.Len()
	blocks := ceil(groups*f.cols, 256) * ceil(f.rank, groupRanks)
	s := split{stride: ceil(size, 4) * 4}
	most := max(1, min(ceil(gradientBlocks, blocks), scratchBytes/(4*s.stride)))
	s.rows = max(ceil(ceil(class(n), most), 64), 1) * 64
	s.parts = max(ceil(class(n), s.rows), 1)
	a := d.grouped(n, f, groups, scale, drop)
	a.u, a.x, a.partRows, a.stride = d.at(u), d.at(x), int32(s.rows), int32(s.stride)
	a.out = d.scratch(int64(4 * s.stride * s.parts))
	launch(d, d.named("grouped_gradient"), grid{ceil(groups*f.cols, 256), s.parts, ceil(f.rank, groupRanks)}, 256, 0, a)
	launch(d, "lowrank_add_f32", grid{x: ceil(size, 128)}, 256, 0, lowRankAddArgs{
		dst: d.at(dw), partial: a.out, n: int32(size), parts: int32(s.parts), stride: int32(s.stride),
	})
}

// widest returns the number of columns of the tensors that are present, or 0.
func widest(xs ...compute.Tensor) (cols int) {
	for _, x := range xs {
		if x.Present() {
			cols = x.Shape.Cols()
		}
	}
	return cols
}
