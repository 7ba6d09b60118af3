package cpu

import (
	"math"

	"github.com/lor2c/lor2c/internal/compute"
)

// CrossEntropy adds the scaled negative log-likelihood to loss.
func (d *Device[T]) CrossEntropy(loss, dlogits, logits, labels compute.Tensor, scale float32) {
	if d.err != nil {
		return
	}
	in, grad, label := Data[T](logits), Data[T](dlogits), ints[T](labels)
	cols := logits.Shape.Cols()
	chunk := rowsOf(cols)
	sums := sized(&d.sums, (len(label)+chunk-1)/chunk)
	d.each(len(label), chunk, func(w, lo, hi int) {
		p := sized(&d.scratch[w].a, cols)
		total := 0.0
		for n := lo; n < hi; n++ {
			x := in[n*cols : (n+1)*cols]
			right := int(label[n])
			if right < 0 {
				if grad != nil {
					clear(grad[n*cols : (n+1)*cols])
				}
				continue
			}
			copy(p, x)
			top := maxOf(p)
			sum := expSum(p, top)
			// In this order the difference of two large logits is exact.
			total += float64(top-x[right]) + math.Log(float64(sum))
			if grad == nil {
				continue
			}
			g := grad[n*cols : (n+1)*cols]
			inv := T(scale) / sum
			for c := range g {
				g[c] = p[c] * inv
			}
			g[right] -= T(scale)
		}
		sums[lo/chunk] = total
	})
	addScaled(Data[T](loss), sums, scale)
}

// addScaled adds the scaled total of sums, taken in order, to a scalar loss.
func addScaled[T Float](loss []T, sums []float64, scale float32) {
	total := 0.0
	for _, v := range sums {
		total += v
	}
	loss[0] += T(float64(scale) * total)
}

// MSE adds the scaled sum of squared differences to loss. It is one number a
// sequence, too little to share among workers.
func (d *Device[T]) MSE(loss, dx, x, y compute.Tensor, scale float32) {
	if d.err != nil {
		return
	}
	in, want, grad := Data[T](x), Data[T](y), Data[T](dx)
	sums := sized(&d.sums, 1)
	sums[0] = 0
	for n := range in {
		e := in[n] - want[n]
		sums[0] += float64(e) * float64(e)
		if grad != nil {
			grad[n] = 2 * T(scale) * e
		}
	}
	addScaled(Data[T](loss), sums, scale)
}
