//go:build cuda && cgo && linux && amd64

package gpu

import "github.com/lor2c/lor2c/internal/compute"

type importanceArgs struct {
	mean, dev, p, g, state, n ptr
	beta1, beta2              float32
}

type sumProductsArgs struct {
	dst, x, y                ptr
	outputs, terms           int32
	outputStride, termStride int32
	alpha                    float32
	_                        uint32
}

type zeroSmallestArgs struct {
	x, scores, k ptr
	n            int32
	_            uint32
}

// Importance updates the moving averages of the sensitivity of each parameter and of its deviation.
func (d *Device) Importance(mean, dev, p, g, state compute.Tensor, beta1, beta2 float32) {
	n := mean.Shape.Len()
	launch(d, "importance_f32", grid{x: ceil(n, 256)}, 256, 0, importanceArgs{
		mean: d.at(mean), dev: d.at(dev), p: d.at(p), g: d.at(g), state: d.at(state), n: d.count(n),
		beta1: beta1, beta2: beta2,
	})
}

// SumProducts computes dst[i] += alpha (sum over j of x[i,j] y[i,j]), or the same for each column.
func (d *Device) SumProducts(dst, x, y compute.Tensor, alpha float32, columns bool) {
	rows, cols := int32(x.Shape.Rows()), int32(x.Shape.Cols())
	a := sumProductsArgs{
		dst: d.at(dst), x: d.at(x), y: d.at(y), outputs: rows, terms: cols, outputStride: cols, termStride: 1, alpha: alpha,
	}
	if columns {
		a.outputs, a.terms, a.outputStride, a.termStride = cols, rows, 1, cols
	}
	launch(d, "sum_products_f32", grid{x: int(a.outputs)}, 256, 0, a)
}

// ZeroSmallest sets elements of x to 0 whose score is at most the k-th smallest.
func (d *Device) ZeroSmallest(x, scores compute.Tensor, k int) {
	n := scores.Shape.Len()
	launch(d, d.typed("zero_smallest", x.DType), grid{x: ceil(n, 256)}, 256, 0, zeroSmallestArgs{
		x: d.at(x), scores: d.at(scores), k: d.count(k), n: d.size(n),
	})
}
