//go:build cuda && cgo && linux && amd64

package gpu

import "github.com/lor2c/lor2c/internal/compute"

type rmsNormArgs struct {
	dst, rstd, x, gamma, n ptr
	cols                   int32
	eps                    float32
}

type rmsNormGradArgs struct {
	dx, x, gamma, rstd, dy, n ptr
	cols                      int32
	accumulate                uint32
}

type rmsNormGainArgs struct {
	partial, x, rstd, dy, n ptr
	cols, chunk             int32
	aligned, _              uint32
}

// RMSNorm computes dst = x rstd gamma.
func (d *Device) RMSNorm(dst, rstd, x, gamma compute.Tensor, eps float32) {
	rows, cols := x.Shape.Rows(), x.Shape.Cols()
	a := rmsNormArgs{
		dst: d.at(dst), rstd: d.at(rstd), x: d.at(x), gamma: d.at(gamma), n: d.count(rows), cols: int32(cols), eps: eps,
	}
	kernel, g := d.normKernel("rmsnorm_forward", rows, cols, a.dst, a.x, a.gamma)
	launch(d, kernel, g, 256, 0, a)
}

// RMSNormGrad computes the gradient of RMSNorm.
func (d *Device) RMSNormGrad(dx, dgamma, x, gamma, rstd, dy compute.Tensor, accumulate bool) {
	rows, cols := x.Shape.Rows(), x.Shape.Cols()
	if dx.Present() {
		a := rmsNormGradArgs{
			dx: d.at(dx), x: d.at(x), gamma: d.at(gamma), rstd: d.at(rstd), dy: d.at(dy), n: d.count(rows),
			cols: int32(cols), accumulate: boolArg(accumulate),
		}
		kernel, g := d.normKernel("rmsnorm_backward", rows, cols, a.dx, a.x, a.gamma, a.dy)
		launch(d, kernel, g, 256, 0, a)
	}
	if dgamma.Present() {
		s := d.columnSums(x, 1)
		launch(d, d.named("rmsnorm_backward_gain"), s.grid(), 256, 0, rmsNormGainArgs{
			partial: s.partial, x: d.at(x), rstd: d.at(rstd), dy: d.at(dy), n: s.n,
			cols: int32(cols), chunk: int32(s.chunk), aligned: aligned16(cols, d.at(x), d.at(dy)),
		})
		s.finish(d, dgamma)
	}
}
