//go:build cuda && cgo && linux && amd64

package gpu

import "github.com/lor2c/lor2c/internal/compute"

type crossEntropyArgs struct {
	dlogits, nll, logits, labels, rows, classes, n, scale ptr
	smoothing                                             float32
	cols                                                  int32
	aligned                                               uint32
	_                                                     uint32
}

type lossSumArgs struct{ loss, x, n, scale ptr }

type binaryCrossEntropyArgs struct {
	dlogits, rows, logits, targets, n, scale ptr
	cols                                     int32
	_                                        uint32
}

type mseArgs struct{ loss, dx, x, y, n, scale ptr }

// CrossEntropy adds the scaled negative log-likelihood, weighted by o, to loss.
func (d *Device) CrossEntropy(
	loss, dlogits, logits, labels compute.Tensor, scale float32, o compute.CrossEntropyOpts,
) {
	n, cols := logits.Shape.Rows(), logits.Shape.Cols()
	count, by := d.count(n), d.scalar(scale)
	nll := d.scratch(int64(4 * class(n)))
	launch(d, d.named("cross_entropy"), grid{x: class(n)}, 256, 0, crossEntropyArgs{
		dlogits: d.at(dlogits), nll: nll, logits: d.at(logits), labels: d.at(labels),
		rows: d.at(o.Rows), classes: d.at(o.Classes), n: count, scale: by, smoothing: o.Smoothing,
		cols: int32(cols), aligned: aligned16(cols, d.at(logits), d.at(dlogits)),
	})
	launch(d, "loss_sum_f32", grid{x: 1}, 256, 0, lossSumArgs{loss: d.at(loss), x: nll, n: count, scale: by})
}

// BinaryCrossEntropy adds the scaled loss of every logit against its target to loss.
func (d *Device) BinaryCrossEntropy(loss, dlogits, logits, targets compute.Tensor, scale float32) {
	n := logits.Shape.Rows()
	count, by := d.count(n), d.scalar(scale)
	rows := d.scratch(int64(4 * class(n)))
	launch(d, d.named("binary_cross_entropy"), grid{x: class(n)}, 256, 0, binaryCrossEntropyArgs{
		dlogits: d.at(dlogits), rows: rows, logits: d.at(logits), targets: d.at(targets), n: count, scale: by,
		cols: int32(logits.Shape.Cols()),
	})
	launch(d, "loss_sum_f32", grid{x: 1}, 256, 0, lossSumArgs{loss: d.at(loss), x: rows, n: count, scale: by})
}

// MSE adds the scaled sum of squared differences to loss.
func (d *Device) MSE(loss, dx, x, y compute.Tensor, scale float32) {
	launch(d, d.named("mse"), grid{x: 1}, 256, 0, mseArgs{
		loss: d.at(loss), dx: d.at(dx), x: d.at(x), y: d.at(y), n: d.count(x.Shape.Len()), scale: d.scalar(scale),
	})
}
