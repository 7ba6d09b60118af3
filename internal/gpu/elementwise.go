//go:build cuda && cgo && linux && amd64

package gpu

import "github.com/lor2c/lor2c/internal/compute"

const (
	// mapTile is the number of elements that a block of a pointwise kernel processes.
	mapTile = 2048
	// columnTile is the number of columns that a block of a sum over rows processes.
	columnTile = 256
	// sumChunk is the smallest number of rows in a chunk of such a sum: eight for each warp of a block.
	sumChunk = 64
)

type fillArgs struct {
	dst, n  ptr
	value   float32
	aligned uint32
}

type copyArgs struct {
	dst, x, n  ptr
	aligned, _ uint32
}

type dequantizeArgs struct {
	dst, codes, scales ptr
	n                  int32
	aligned            uint32
}

type axpyArgs struct {
	dst, x, n ptr
	alpha     float32
	aligned   uint32
}

type actArgs struct {
	dst, pre, dy, n ptr
	act             int32
	aligned         uint32
}

type dropoutRowsArgs struct {
	dst, x, n ptr
	drop      dropoutArgs
	cols      int32
	aligned   uint32
}

type sumRowsArgs struct {
	partial, x, n ptr
	cols, chunk   int32
	aligned, _    uint32
}

type sumRowsFinishArgs struct {
	first, second, partial, n ptr
	cols, chunk, chunks       int32
	_                         uint32
}

// mapGrid returns a grid for the elements of t. The number of rows of t may differ in the next replay.
func mapGrid(t compute.Tensor) grid {
	rows := t.Shape.Len()
	cols := 1
	if len(t.Shape) > 1 {
		rows, cols = t.Shape.Rows(), t.Shape.Cols()
	}
	return grid{x: ceil(class(rows)*cols, mapTile)}
}

// rowGrid returns a grid with one thread for each 8 columns of each row.
func rowGrid(rows, cols int) grid { return grid{x: ceil(class(rows)*ceil(cols, 8), 256)} }

// Fill sets every element to v.
func (d *Device) Fill(dst compute.Tensor, v float32) {
	launch(d, d.typed("fill", dst.DType), mapGrid(dst), 256, 0, fillArgs{
		dst: d.at(dst), n: d.count(dst.Shape.Len()), value: v, aligned: aligned16(0, d.at(dst)),
	})
}

// Copy copies src to dst, converting between Working and Exact.
func (d *Device) Copy(dst, src compute.Tensor) {
	if src.DType == compute.NF4 {
		n := src.Shape.Len()
		launch(d, d.named("dequantize_nf4"), grid{x: ceil(n, mapTile)}, 256, 0, dequantizeArgs{
			dst: d.at(dst), codes: d.at(src), scales: d.at(src) + ptr(nf4Scales(n)), n: d.size(n),
			aligned: aligned16(0, d.at(dst)),
		})
		return
	}
	kernel := d.typed("copy", dst.DType)
	switch to, from := d.Bytes(dst.DType), d.Bytes(src.DType); {
	case to > from:
		kernel = "copy_widen_bf16"
	case to < from:
		kernel = "copy_narrow_bf16"
	}
	launch(d, kernel, mapGrid(dst), 256, 0, copyArgs{
		dst: d.address(d.at(dst)), x: d.address(d.at(src)), n: d.count(dst.Shape.Len()),
		aligned: aligned16(0, d.at(dst), d.at(src)),
	})
}

// Axpy computes dst += alpha x.
func (d *Device) Axpy(dst compute.Tensor, alpha float32, x compute.Tensor) {
	launch(d, d.typed("axpy", dst.DType), mapGrid(dst), 256, 0, axpyArgs{
		dst: d.at(dst), x: d.at(x), n: d.count(dst.Shape.Len()), alpha: alpha, aligned: aligned16(0, d.at(dst), d.at(x)),
	})
}

// Act computes dst = act(pre).
func (d *Device) Act(act compute.Act, dst, pre compute.Tensor) {
	launch(d, d.named("act_forward"), mapGrid(dst), 256, 0, actArgs{
		dst: d.at(dst), pre: d.at(pre), n: d.count(dst.Shape.Len()), act: int32(act),
		aligned: aligned16(0, d.at(dst), d.at(pre)),
	})
}

// ActGrad computes dx = dy act'(pre).
func (d *Device) ActGrad(act compute.Act, dx, pre, dy compute.Tensor) {
	if d.fuseActGrad(act, dx, pre, dy) {
		return
	}
	launch(d, d.named("act_backward"), mapGrid(dx), 256, 0, actArgs{
		dst: d.at(dx), pre: d.at(pre), dy: d.at(dy), n: d.count(dx.Shape.Len()), act: int32(act),
		aligned: aligned16(0, d.at(dx), d.at(pre), d.at(dy)),
	})
}

// Dropout computes dst = mask x / (1-p).
func (d *Device) Dropout(dst, x compute.Tensor, drop compute.Dropout) {
	rows, cols := x.Shape.Rows(), x.Shape.Cols()
	launch(d, d.named("dropout"), rowGrid(rows, cols), 256, 0, dropoutRowsArgs{
		dst: d.at(dst), x: d.at(x), n: d.count(rows), drop: d.dropout(drop), cols: int32(cols),
		aligned: aligned16(cols, d.at(dst), d.at(x)),
	})
}

// columnSums describes how a sum over rows is cut into chunks. The chunks depend on the shape class alone, and so
// does the order of additions.
type columnSums struct {
	n, partial    ptr
	rows, cols    int
	chunk, chunks int
}

// columnSums plans sums over the rows of x, for the given number of outputs.
func (d *Device) columnSums(x compute.Tensor, outputs int) columnSums {
	s := columnSums{rows: x.Shape.Rows(), cols: x.Shape.Cols(), chunk: sumChunk}
	bytes := func() int64 {
		s.chunks = ceil(class(s.rows), s.chunk)
		return 4 * int64(outputs) * int64(s.chunks) * int64(s.cols)
	}
	for bytes() > scratchBytes && s.chunks > 1 {
		s.chunk *= 2
	}
	s.n, s.partial = d.count(s.rows), d.scratch(bytes())
	return s
}

// grid returns the grid of the kernel that sums each chunk.
func (s columnSums) grid() grid {
	if s.chunks == 0 {
		return grid{}
	}
	return grid{x: ceil(s.cols, columnTile), y: s.chunks}
}

// finish adds the sums of all chunks to one or two destinations.
func (s columnSums) finish(d *Device, dst ...compute.Tensor) {
	args := sumRowsFinishArgs{
		first: d.at(dst[0]), partial: s.partial, n: s.n, cols: int32(s.cols), chunk: int32(s.chunk), chunks: int32(s.chunks),
	}
	if len(dst) > 1 {
		args.second = d.at(dst[1])
	}
	launch(d, "sum_rows_finish", grid{x: ceil(s.cols, 32), y: len(dst)}, 256, 0, args)
}

// SumRows computes dst[c] += sum over n of x[n,c].
func (d *Device) SumRows(dst, x compute.Tensor) {
	s := d.columnSums(x, 1)
	launch(d, d.named("sum_rows"), s.grid(), 256, 0, sumRowsArgs{
		partial: s.partial, x: d.at(x), n: s.n, cols: int32(s.cols), chunk: int32(s.chunk),
		aligned: aligned16(s.cols, d.at(x)),
	})
	s.finish(d, dst)
}
