//go:build cuda && cgo && linux && amd64

package gpu

import "github.com/lor2c/lor2c/internal/compute"

type symmetricKLArgs struct {
	dx, dz, nll, x, z, n, scale ptr
	cols                        int32
	detach                      uint32
}

type balanceArgs struct {
	loss, dq, q, f, n, scale ptr
}

type orthogonalityArgs struct {
	loss, c, scale ptr
	rank           int32
	_              uint32
}

// SymmetricKL adds the scaled symmetric divergence of two softmaxes to loss.
func (d *Device) SymmetricKL(loss, dx, dz, x, z compute.Tensor, scale float32, detach bool) {
	n := x.Shape.Rows()
	count, by, nll := d.count(n), d.scalar(scale), d.scratch(int64(4*class(n)))
	launch(d, d.named("symmetric_kl"), grid{x: class(n)}, 256, 0, symmetricKLArgs{
		dx: d.at(dx), dz: d.at(dz), nll: nll, x: d.at(x), z: d.at(z), n: count, scale: by,
		cols: int32(x.Shape.Cols()), detach: boolArg(detach),
	})
	launch(d, "loss_sum_f32", grid{x: 1}, 256, 0, lossSumArgs{loss: d.at(loss), x: nll, n: count, scale: by})
}

// Balance adds the scaled squared coefficient of variation of q f to loss.
func (d *Device) Balance(loss, dq, q, f compute.Tensor, scale float32) {
	launch(d, "balance_f32", grid{x: 1}, 256, 0, balanceArgs{
		loss: d.at(loss), dq: d.at(dq), q: d.at(q), f: d.at(f), n: d.count(q.Shape.Len()), scale: d.scalar(scale),
	})
}

// Orthogonality adds the scaled distance of c from the identity to loss, and replaces c by its gradient.
func (d *Device) Orthogonality(loss, c compute.Tensor, scale float32) {
	launch(d, "orthogonality_f32", grid{x: 1}, 256, 0, orthogonalityArgs{
		loss: d.at(loss), c: d.at(c), scale: d.scalar(scale), rank: int32(c.Shape.Cols()),
	})
}
