//go:build cuda && cgo && linux && amd64

package gpu

import "github.com/lor2c/lor2c/internal/compute"

// warpRow is the number of columns of a row that fit in the registers of a warp.
const warpRow = 1024

type layerNormArgs struct {
	dst, sum, stats, x, residual, gamma, beta, n ptr
	drop                                         dropoutArgs
	cols                                         int32
	eps                                          float32
}

type layerNormGradArgs struct {
	dx, dresidual, sum, gamma, stats, dy, n ptr
	drop                                    dropoutArgs
	cols                                    int32
	_                                       uint32
}

type layerNormParamsArgs struct {
	partial, sum, stats, dy, n ptr
	cols, chunk                int32
	aligned, _                 uint32
}

// normKernel returns the name and the grid of op's kernel for rows of cols elements that begin at these addresses.
func (d *Device) normKernel(op string, rows, cols int, at ...ptr) (string, grid) {
	byWarp := grid{x: ceil(class(rows), 8)}
	switch {
	case aligned16(cols, at...) == 0:
		return d.named(op + "_odd"), byWarp
	case cols <= warpRow:
		return d.named(op), byWarp
	}
	return d.named(op + "_wide"), grid{x: class(rows)}
}

// LayerNorm computes sum = residual + dropout(x) and normalises it.
func (d *Device) LayerNorm(
	dst, sum, stats, x, residual, gamma, beta compute.Tensor, eps float32, drop compute.Dropout,
) {
	rows, cols := x.Shape.Rows(), x.Shape.Cols()
	a := layerNormArgs{
		dst: d.at(dst), sum: d.at(sum), stats: d.at(stats), x: d.at(x), residual: d.at(residual),
		gamma: d.at(gamma), beta: d.at(beta),
		n: d.count(rows), drop: d.dropout(drop), cols: int32(cols), eps: eps,
	}
	kernel, g := d.normKernel("layernorm_forward", rows, cols, a.dst, a.sum, a.x, a.residual, a.gamma, a.beta)
	before := d.queue.serial
	launch(d, kernel, g, 256, 0, a)
	if kernel == d.named("layernorm_forward") && d.queue.serial != before {
		d.lastNorm = fusableNorm{serial: d.queue.serial, rows: rows, args: layerNormLowRankArgs{norm: a}}
	}
}

// LayerNormGrad computes the gradient of LayerNorm.
func (d *Device) LayerNormGrad(
	dx, dresidual, dgamma, dbeta, sum, gamma, stats, dy compute.Tensor, drop compute.Dropout,
) {
	rows, cols := sum.Shape.Rows(), sum.Shape.Cols()
	if dx.Present() || dresidual.Present() {
		a := layerNormGradArgs{
			dx: d.at(dx), dresidual: d.at(dresidual), sum: d.at(sum), gamma: d.at(gamma), stats: d.at(stats), dy: d.at(dy),
			n: d.count(rows), drop: d.dropout(drop), cols: int32(cols),
		}
		kernel, g := d.normKernel("layernorm_backward", rows, cols, a.dx, a.dresidual, a.sum, a.gamma, a.dy)
		launch(d, kernel, g, 256, 0, a)
	}
	switch {
	case dgamma.Present():
		s := d.columnSums(sum, 2)
		launch(d, d.named("layernorm_backward_params"), s.grid(), 256, 0, layerNormParamsArgs{
			partial: s.partial, sum: d.at(sum), stats: d.at(stats), dy: d.at(dy), n: s.n,
			cols: int32(s.cols), chunk: int32(s.chunk), aligned: aligned16(s.cols, d.at(sum), d.at(dy)),
		})
		s.finish(d, dgamma, dbeta)
	case dbeta.Present():
		d.SumRows(dbeta, dy)
	}
}
