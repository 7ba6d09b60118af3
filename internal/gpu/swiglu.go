//go:build cuda && cgo && linux && amd64

package gpu

import "github.com/lor2c/lor2c/internal/compute"

type swigluArgs struct {
	dst, gate, up, n ptr
	aligned, _       uint32
}

type swigluGradArgs struct {
	dgate, dup, gate, up, dy, n ptr
	aligned, _                  uint32
}

// SwiGLU computes dst = silu(gate) up.
func (d *Device) SwiGLU(dst, gate, up compute.Tensor) {
	launch(d, d.named("swiglu_forward"), mapGrid(dst), 256, 0, swigluArgs{
		dst: d.at(dst), gate: d.at(gate), up: d.at(up), n: d.count(dst.Shape.Len()), aligned: aligned16(
			0, d.at(dst), d.at(gate), d.at(up),
		),
	})
}

// SwiGLUGrad computes the gradient of SwiGLU.
func (d *Device) SwiGLUGrad(dgate, dup, gate, up, dy compute.Tensor) {
	launch(d, d.named("swiglu_backward"), mapGrid(dy), 256, 0, swigluGradArgs{
		dgate: d.at(dgate), dup: d.at(dup), gate: d.at(gate), up: d.at(up), dy: d.at(dy), n: d.count(dy.Shape.Len()),
		aligned: aligned16(0, d.at(dgate), d.at(dup), d.at(gate), d.at(up), d.at(dy)),
	})
}
