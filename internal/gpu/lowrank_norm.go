//go:build cuda && cgo && linux && amd64

package gpu

import "github.com/lor2c/lor2c/internal/compute"

type lowRankNormArgs struct {
	dst, w, a, b     ptr
	rows, cols, rank int32
	scale            float32
	aligned, _       uint32
}

// LowRankInvNorm computes dst[m] = 1/||w[m] + scale (B A)[m]||.
func (d *Device) LowRankInvNorm(dst, w, a, b compute.Tensor, scale float32) {
	rows, cols := w.Shape.Rows(), w.Shape.Cols()
	launch(d, d.named("lowrank_inv_norm"), grid{x: ceil(rows, 32)}, 256, 0, lowRankNormArgs{
		dst: d.at(dst), w: d.at(w), a: d.at(a), b: d.at(b), rows: int32(rows), cols: int32(cols),
		rank: int32(b.Shape.Cols()), scale: scale, aligned: aligned16(cols, d.at(w), d.at(a)),
	})
}
