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
func (d *Device) RMSNorm(o compute.RMSNormArgs) {
	rows, cols := o.X.Shape.Rows(), o.X.Shape.Cols()
	a := rmsNormArgs{
		dst: d.at(o.Dst), rstd: d.at(o.RStd), x: d.at(o.X), gamma: d.at(o.Gamma), n: d.count(rows), cols: int32(cols),
		eps: o.Eps,
	}
	kernel, g := d.normKernel("rmsnorm_forward", rows, cols, a.dst, a.x, a.gamma)
	launch(d, kernel, g, 256, 0, a)
}

// RMSNormGrad computes the gradient of RMSNorm.
func (d *Device) RMSNormGrad(o compute.RMSNormGradArgs) {
	rows, cols := o.X.Shape.Rows(), o.X.Shape.Cols()
	if o.DX.Present() {
		a := rmsNormGradArgs{
			dx: d.at(o.DX), x: d.at(o.X), gamma: d.at(o.Gamma), rstd: d.at(o.RStd), dy: d.at(o.DY), n: d.count(rows),
			cols: int32(cols), accumulate: boolArg(o.Accumulate),
		}
		kernel, g := d.normKernel("rmsnorm_backward", rows, cols, a.dx, a.x, a.gamma, a.dy)
		launch(d, kernel, g, 256, 0, a)
	}
	if o.DGamma.Present() {
		s := d.columnSums(o.X, 1)
		launch(d, d.named("rmsnorm_backward_gain"), s.grid(), 256, 0, rmsNormGainArgs{
			partial: s.partial, x: d.at(o.X), rstd: d.at(o.RStd), dy: d.at(o.DY), n: s.n,
			cols: int32(cols), chunk: int32(s.chunk), aligned: aligned16(cols, d.at(o.X), d.at(o.DY)),
		})
		s.finish(d, o.DGamma)
	}
}
