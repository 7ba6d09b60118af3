//go:build cuda && cgo && linux && amd64

package gpu

import "github.com/lor2c/lor2c/internal/compute"

type ropeArgs struct {
	x, pos, table, n ptr
	cols, dim        int32
	sign             float32
	aligned          uint32
}

// RoPE rotates the pairs of every head by the angles of the row's position in a table.
func (d *Device) RoPE(x, pos, table compute.Tensor, inverse bool) {
	rows, cols, dim := x.Shape.Rows(), x.Shape.Cols(), table.Shape.Cols()
	a := ropeArgs{
		x: d.at(x), pos: d.at(pos), table: d.at(table), n: d.count(rows), cols: int32(cols), dim: int32(dim), sign: 1,
		aligned: aligned16(dim/2, d.at(x), d.at(table)),
	}
	if inverse {
		a.sign = -1
	}
	launch(d, d.named("rope"), grid{x: class(rows)}, 256, 0, a)
}
