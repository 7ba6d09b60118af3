package cpu

import (
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/vector"
)

// Softmax computes the softmax of each row.
func (d *Device[T]) Softmax(dst, x compute.Tensor) {
	if d.err != nil {
		return
	}
	out, in, cols := Data[T](dst), Data[T](x), x.Shape.Cols()
	d.each(x.Shape.Rows(), rowsOf(cols), func(_, lo, hi int) {
		for n := lo; n < hi; n++ {
			o := out[n*cols : (n+1)*cols]
			copy(o, in[n*cols:(n+1)*cols])
			vector.Softmax(o)
		}
	})
}

// SoftmaxGrad computes the gradient of Softmax from its result.
func (d *Device[T]) SoftmaxGrad(dx, y, dy compute.Tensor) {
	if d.err != nil {
		return
	}
	out, p, g, cols := Data[T](dx), Data[T](y), Data[T](dy), y.Shape.Cols()
	d.each(y.Shape.Rows(), rowsOf(cols), func(_, lo, hi int) {
		for n := lo; n < hi; n++ {
			i, j := n*cols, (n+1)*cols
			mean := vector.Dot(p[i:j], g[i:j])
			for c := i; c < j; c++ {
				out[c] = p[c] * (g[c] - mean)
			}
		}
	})
}

// ranksOf returns the ranks of expert e in row n of u, which has cols columns: the ranks of all experts or those that
// all share.
func ranksOf[T Float](u []T, n, cols, e, ranks int) []T {
	if cols == ranks {
		e = 0
	}
	return u[n*cols+e*ranks:][:ranks]
}

// Gate multiplies the ranks of each expert by its weight.
func (d *Device[T]) Gate(dst, w, u compute.Tensor) {
	if d.err != nil {
		return
	}
	out, weights, in := Data[T](dst), Data[T](w), Data[T](u)
	cols, experts, uCols := dst.Shape.Cols(), w.Shape.Cols(), u.Shape.Cols()
	ranks := cols / experts
	d.each(dst.Shape.Rows(), rowsOf(cols), func(_, lo, hi int) {
		for n := lo; n < hi; n++ {
			for e, weight := range weights[n*experts : (n+1)*experts] {
				o := out[n*cols+e*ranks:][:ranks]
				for k, v := range ranksOf(in, n, uCols, e, ranks) {
					o[k] = weight * v
				}
			}
		}
	})
}

// GateGrad computes the gradient of Gate.
func (d *Device[T]) GateGrad(dw, du, w, u, dy compute.Tensor) {
	if d.err != nil {
		return
	}
	gw, gu, g := Data[T](dw), Data[T](du), Data[T](dy)
	weights, in := Data[T](w), Data[T](u)
	cols, experts, uCols := dy.Shape.Cols(), w.Shape.Cols(), u.Shape.Cols()
	ranks := cols / experts
	d.each(dy.Shape.Rows(), rowsOf(cols), func(_, lo, hi int) {
		if gu != nil {
			clear(gu[lo*uCols : hi*uCols])
		}
		for n := lo; n < hi; n++ {
			for e, weight := range weights[n*experts : (n+1)*experts] {
				slope := g[n*cols+e*ranks:][:ranks]
				if gw != nil {
					gw[n*experts+e] = vector.Dot(slope, ranksOf(in, n, uCols, e, ranks))
				}
				if gu != nil {
					vector.Axpy(ranksOf(gu, n, uCols, e, ranks), weight, slope)
				}
			}
		}
	})
}
