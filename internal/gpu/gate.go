//go:build cuda && cgo && linux && amd64

package gpu

import "github.com/lor2c/lor2c/internal/compute"

type softmaxArgs struct {
	dst, x, dy, n ptr
	cols          int32
	_             uint32
}

type gateArgs struct {
	dst, w, u, dy, n     ptr
	experts, ranks, cols int32
	_                    uint32
}

// Softmax computes the softmax of each row.
func (d *Device) Softmax(dst, x compute.Tensor) { d.softmax("softmax_f32", dst, x, compute.Tensor{}) }

// SoftmaxGrad computes the gradient of Softmax from its result.
func (d *Device) SoftmaxGrad(dx, y, dy compute.Tensor) { d.softmax("softmax_backward_f32", dx, y, dy) }

func (d *Device) softmax(kernel string, dst, x, dy compute.Tensor) {
	rows := x.Shape.Rows()
	launch(d, kernel, grid{x: ceil(class(rows), 8)}, 256, 0, softmaxArgs{
		dst: d.at(dst), x: d.at(x), dy: d.at(dy), n: d.count(rows), cols: int32(x.Shape.Cols()),
	})
}

// Gate multiplies the ranks of each expert by its weight.
func (d *Device) Gate(dst, w, u compute.Tensor) {
	d.gate("gate_f32", dst.Shape.Cols(), gateArgs{dst: d.at(dst)}, w, u, dst)
}

// GateGrad computes the gradient of Gate.
func (d *Device) GateGrad(dw, du, w, u, dy compute.Tensor) {
	if dw.Present() {
		d.gate("gate_gradient_w_f32", w.Shape.Cols(), gateArgs{dst: d.at(dw), dy: d.at(dy)}, w, u, dy)
	}
	if du.Present() {
		d.gate("gate_gradient_u_f32", u.Shape.Cols(), gateArgs{dst: d.at(du), dy: d.at(dy)}, w, u, dy)
	}
}

// gate launches a kernel with a thread for each element of a destination of the given columns. z has a column for
// each rank of each expert.
func (d *Device) gate(kernel string, cols int, a gateArgs, w, u, z compute.Tensor) {
	rows, experts := w.Shape.Rows(), w.Shape.Cols()
	a.w, a.u, a.n = d.at(w), d.at(u), d.count(rows)
	a.experts, a.ranks, a.cols = int32(experts), int32(z.Shape.Cols()/experts), int32(u.Shape.Cols())
	launch(d, kernel, grid{x: ceil(class(rows)*cols, 256)}, 256, 0, a)
}
