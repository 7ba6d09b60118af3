//go:build cuda && cgo && linux && amd64

package gpu

import "github.com/lor2c/lor2c/internal/compute"

// selectArgs has the fields of struct SelectArgs.
type selectArgs struct {
	dst, x, idx, n ptr
	cols           int32
	aligned        uint32
}

type embedArgs struct {
	dst, word, position, tokenType, ids, pos, types, n ptr
	cols                                               int32
	aligned                                            uint32
}

// Gather computes dst[n] = x[idx[n]].
func (d *Device) Gather(dst, x, idx compute.Tensor) {
	d.selectRows("gather", dst, idx, x)
}

// Put computes dst[idx[n]] = x[n].
func (d *Device) Put(dst, idx, x compute.Tensor) { d.selectRows("put", dst, idx, x) }

func (d *Device) selectRows(kernel string, dst, idx, x compute.Tensor) {
	rows, cols := idx.Shape.Len(), x.Shape.Cols()
	launch(d, d.typed(kernel, x.DType), rowGrid(rows, cols), 256, 0, selectArgs{
		dst: d.at(dst), x: d.at(x), idx: d.at(idx), n: d.count(rows), cols: int32(cols),
		aligned: aligned16(cols, d.at(dst), d.at(x)),
	})
}

// argMaxArgs has the fields of struct ArgMaxArgs.
type argMaxArgs struct {
	dst, x, n ptr
	cols      int32
	aligned   uint32
}

// ArgMax finds the largest element of each row.
func (d *Device) ArgMax(dst, x compute.Tensor) {
	rows, cols := x.Shape.Rows(), x.Shape.Cols()
	launch(d, d.named("argmax"), grid{x: class(rows)}, 256, 0, argMaxArgs{
		dst: d.at(dst), x: d.at(x), n: d.count(rows), cols: int32(cols), aligned: aligned16(cols, d.at(x)),
	})
}

// Scatter computes dst[idx[n]] += x[n], in the order of n.
func (d *Device) Scatter(dst, idx, x compute.Tensor) {
	d.scatter(d.typed("scatter", x.DType), dst, idx, x)
}

func (d *Device) scatter(kernel string, dst, idx, x compute.Tensor) {
	rows, cols := x.Shape.Rows(), x.Shape.Cols()
	launch(d, kernel, grid{x: ceil(class(rows), 4), y: ceil(cols, columnTile)}, 128, 0, selectArgs{
		dst: d.at(dst), x: d.at(x), idx: d.at(idx), n: d.count(rows), cols: int32(cols),
		aligned: aligned16(cols, d.at(dst), d.at(x)),
	})
}

// Embed computes dst[n] = word[ids[n]] + position[pos[n]] + tokenType[types[n]].
func (d *Device) Embed(dst, ids, pos, types, word, position, tokenType compute.Tensor) {
	rows, cols := dst.Shape.Rows(), dst.Shape.Cols()
	launch(d, d.named("embed_forward"), rowGrid(rows, cols), 256, 0, embedArgs{
		dst: d.at(dst), word: d.at(word), position: d.at(position), tokenType: d.at(tokenType),
		ids: d.at(ids), pos: d.at(pos), types: d.at(types), n: d.count(rows), cols: int32(cols),
		aligned: aligned16(cols, d.at(dst), d.at(word), d.at(position), d.at(tokenType)),
	})
}

// EmbedGrad adds the rows of dy to the gradients of the rows that Embed read.
func (d *Device) EmbedGrad(dword, dposition, dtokenType, ids, pos, types, dy compute.Tensor) {
	for _, t := range [...]struct{ table, idx compute.Tensor }{{dword, ids}, {dposition, pos}, {dtokenType, types}} {
		if t.table.Present() {
			d.scatter(d.named("embed_backward"), t.table, t.idx, dy)
		}
	}
}
