//go:build cuda && cgo && linux && amd64

package gpu

import "github.com/lor2c/lor2c/internal/compute"

type scaleArgs struct {
	dst, x, v, times, about, n ptr
	cols                       int32
	aligned                    uint32
}

type scaleGradArgs struct {
	partial, x, dy, times, about, n ptr
	cols, chunk                     int32
	aligned, _                      uint32
}

// rowsNamed returns the name of an op's kernel for rows of x's type between Working parameters.
func (d *Device) rowsNamed(op string, x compute.Tensor) string {
	if d.Bytes(x.DType) > d.Bytes(compute.Working) {
		return d.named(op + "_exact")
	}
	return d.named(op)
}

// ScaleCols computes dst = about + (x - about) v times.
func (d *Device) ScaleCols(dst, x, v compute.Tensor, o compute.ScaleOpts) {
	rows, cols := x.Shape.Rows(), x.Shape.Cols()
	a := scaleArgs{
		dst: d.at(dst), x: d.at(x), v: d.at(v), times: d.at(o.Times), about: d.at(o.About), n: d.count(rows),
		cols: int32(cols), aligned: aligned16(cols, d.at(dst), d.at(x), d.at(v), d.at(o.Times), d.at(o.About)),
	}
	launch(d, d.rowsNamed("scale_cols", x), rowGrid(rows, cols), 256, 0, a)
}

// ScaleColsGrad computes the gradient of ScaleCols.
func (d *Device) ScaleColsGrad(dx, dv, x, v, dy compute.Tensor, o compute.ScaleOpts) {
	if dv.Present() {
		s := d.columnSums(x, 1)
		launch(d, d.rowsNamed("scale_gradient", x), s.grid(), 256, 0, scaleGradArgs{
			partial: s.partial, x: d.at(x), dy: d.at(dy), times: d.at(o.Times), about: d.at(o.About), n: s.n,
			cols: int32(s.cols), chunk: int32(s.chunk),
			aligned: aligned16(s.cols, d.at(x), d.at(dy), d.at(o.Times), d.at(o.About)),
		})
		s.finish(d, dv)
	}
	if dx.Present() {
		d.ScaleCols(dx, dy, v, compute.ScaleOpts{Times: o.Times})
	}
}
