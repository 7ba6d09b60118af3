//go:build cuda && cgo && linux && amd64

package gpu

import (
	"math"

	"github.com/lor2c/lor2c/internal/compute"
)

// ropePairs is the number of pairs of a head that one launch rotates.
const ropePairs = 128

type ropeArgs struct {
	x, pos, n    ptr
	cols, dim    int32
	first, count int32
	sign         float32
	aligned      uint32
	turn, rest   [ropePairs]float32
}

// RoPE rotates the pairs of every head by angles that depend on the position.
func (d *Device) RoPE(x, pos compute.Tensor, headDim int, base float64, inverse bool) {
	rows, cols := x.Shape.Rows(), x.Shape.Cols()
	n := d.count(rows)
	for first := 0; first < headDim/2; first += ropePairs {
		a := ropeArgs{
			x: d.at(x), pos: d.at(pos), n: n, cols: int32(cols), dim: int32(headDim), first: int32(first),
			count: int32(min(ropePairs, headDim/2-first)), sign: 1, aligned: aligned16(headDim/2, d.at(x)),
		}
		if inverse {
			a.sign = -1
		}
		for i := range a.count {
			turn := math.Pow(base, -2*float64(first+int(i))/float64(headDim)) / (2 * math.Pi)
			a.turn[i] = float32(turn)
			a.rest[i] = float32(turn - float64(a.turn[i]))
		}
		launch(d, d.named("rope"), grid{x: class(rows)}, 256, 0, a)
	}
}
