//go:build cuda && cgo && linux && amd64

package gpu

import "github.com/lor2c/lor2c/internal/compute"

type prefixArgs struct {
	dst, prefix, x, cu, n, sequences ptr
	cols, rows                       int32
	aligned, _                       uint32
}

// PrependRows writes the rows of prefix before the rows of each sequence.
func (d *Device) PrependRows(dst, prefix, x, cu compute.Tensor) {
	rows, cols := dst.Shape.Rows(), dst.Shape.Cols()
	launch(d, d.named("prepend_rows"), rowGrid(rows, cols), 256, 0, prefixArgs{
		dst: d.at(dst), prefix: d.at(prefix), x: d.at(x), cu: d.at(cu), n: d.count(rows),
		sequences: d.count(cu.Shape.Len() - 1), cols: int32(cols), rows: int32(prefix.Shape.Rows()),
		aligned: aligned16(cols, d.at(dst), d.at(prefix), d.at(x)),
	})
}

// PrependRowsGrad computes the gradient of PrependRows.
func (d *Device) PrependRowsGrad(dx, dprefix, dy, cu compute.Tensor) {
	cols, sequences := dy.Shape.Cols(), cu.Shape.Len()-1
	if dx.Present() && sequences > 0 {
		rows := dx.Shape.Rows()
		launch(d, d.named("prepend_rows_backward"), rowGrid(rows, cols), 256, 0, prefixArgs{
			dst: d.at(dx), x: d.at(dy), cu: d.at(cu), n: d.count(rows), sequences: d.count(sequences), cols: int32(cols),
			rows: int32((dy.Shape.Rows() - rows) / sequences), aligned: aligned16(cols, d.at(dx), d.at(dy)),
		})
	}
	if dprefix.Present() {
		rows := dprefix.Shape.Rows()
		launch(d, d.named("prefix_gradient"), rowGrid(rows, cols), 256, 0, prefixArgs{
			dst: d.at(dprefix), x: d.at(dy), cu: d.at(cu), n: d.count(rows), sequences: d.count(sequences),
			cols: int32(cols), rows: int32(rows), aligned: aligned16(cols, d.at(dprefix), d.at(dy)),
		})
	}
}
