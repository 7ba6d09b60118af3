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
func (d *Device) LayerNorm(o compute.LayerNormArgs) {
	rows, cols := o.X.Shape.Rows(), o.X.Shape.Cols()
	a := layerNormArgs{
		dst: d.at(o.Dst), sum: d.at(o.Sum), stats: d.at(o.Stats), x: d.at(o.X), residual: d.at(o.Residual),
		gamma: d.at(o.Gamma), beta: d.at(o.Beta),
		n: d.count(rows), drop: d.dropout(o.Drop), cols: int32(cols), eps: o.Eps,
	}
	kernel, g := d.normKernel("layernorm_forward", rows, cols, a.dst, a.sum, a.x, a.residual, a.gamma, a.beta)
	before := d.queue.serial
	launch(d, kernel, g, 256, 0, a)
	if kernel == d.named("layernorm_forward") && d.queue.serial != before {
		d.lastNorm = fusableNorm{serial: d.queue.serial, rows: rows, args: layerNormLowRankArgs{norm: a}}
	}
}

// LayerNormGrad computes the gradient of LayerNorm.
func (d *Device) LayerNormGrad(o compute.LayerNormGradArgs) {
	rows, cols := o.Sum.Shape.Rows(), o.Sum.Shape.Cols()
	if o.DX.Present() || o.DResidual.Present() {
		a := layerNormGradArgs{
			dx: d.at(o.DX), dresidual: d.at(o.DResidual), sum: d.at(o.Sum), gamma: d.at(o.Gamma), stats: d.at(o.Stats),
			dy: d.at(o.DY), n: d.count(rows), drop: d.dropout(o.Drop), cols: int32(cols),
		}
		kernel, g := d.normKernel("layernorm_backward", rows, cols, a.dx, a.dresidual, a.sum, a.gamma, a.dy)
		launch(d, kernel, g, 256, 0, a)
	}
	switch {
	case o.DGamma.Present():
		s := d.columnSums(o.Sum, 2)
		launch(d, d.named("layernorm_backward_params"), s.grid(), 256, 0, layerNormParamsArgs{
			partial: s.partial, sum: d.at(o.Sum), stats: d.at(o.Stats), dy: d.at(o.DY), n: s.n,
			cols: int32(s.cols), chunk: int32(s.chunk), aligned: aligned16(s.cols, d.at(o.Sum), d.at(o.DY)),
		})
		s.finish(d, o.DGamma, o.DBeta)
	case o.DBeta.Present():
		d.SumRows(o.DBeta, o.DY)
	}
}
