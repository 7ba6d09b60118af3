package cpu

import (
	"slices"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/vector"
)

// Importance updates the moving averages of the sensitivity of each parameter and of its deviation.
func (d *Device[T]) Importance(mean, dev, p, g, state compute.Tensor, beta1, beta2 float32) {
	if d.err != nil {
		return
	}
	m, u, w, slope := Data[T](mean), Data[T](dev), Data[T](p), Data[T](g)
	s := Data[T](state)
	if s[compute.StateHalted] != 0 {
		return
	}
	b1, b2, factor := T(beta1), T(beta2), s[compute.StateFactor]
	d.each(len(m), chunkElems, func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			now := abs(w[i] * (slope[i] * factor))
			m[i] = b1*m[i] + (1-b1)*now
			u[i] = b2*u[i] + (1-b2)*abs(now-m[i])
		}
	})
}

func abs[T Float](x T) T { return max(x, -x) }

// SumProducts computes dst[i] += alpha (sum over j of x[i,j] y[i,j]), or the same for each column.
func (d *Device[T]) SumProducts(dst, x, y compute.Tensor, alpha float32, columns bool) {
	if d.err != nil {
		return
	}
	out, a, b, cols := Data[T](dst), Data[T](x), Data[T](y), x.Shape.Cols()
	if !columns {
		d.each(len(out), rowsOf(cols), func(_, lo, hi int) {
			for i := lo; i < hi; i++ {
				out[i] += T(alpha) * vector.Dot(a[i*cols:(i+1)*cols], b[i*cols:(i+1)*cols])
			}
		})
		return
	}
	d.each(cols, chunkCols, func(_, lo, hi int) {
		var total [chunkCols]float64
		var part [chunkCols]T
		sum, acc := total[:hi-lo], part[:hi-lo]
		forRowBlocks(x.Shape.Rows(), func(n0, n1 int) {
			clear(acc)
			for n := n0; n < n1; n++ {
				v, w := a[n*cols+lo:n*cols+hi], b[n*cols+lo:n*cols+hi]
				for c := range acc {
					acc[c] += v[c] * w[c]
				}
			}
			flush(sum, acc)
		})
		for c := range sum {
			sum[c] *= float64(alpha)
		}
		addTo(out[lo:hi], sum)
	})
}

// ZeroSmallest sets elements of x to 0 whose score is at most the k-th smallest.
func (d *Device[T]) ZeroSmallest(x, scores compute.Tensor, k int) {
	if d.err != nil || k <= 0 {
		return
	}
	out, score := Data[T](x), Data[T](scores)
	sorted := sized(&d.partial, len(score))
	copy(sorted, score)
	slices.Sort(sorted)
	most := sorted[min(k, len(sorted))-1]
	for i, v := range score {
		if v <= most {
			out[i] = 0
		}
	}
}
