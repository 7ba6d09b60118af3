package cpu

import (
	"math"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/vector"
)

// LowRankInvNorm computes dst[m] = 1/||w[m] + scale (B A)[m]||.
func (d *Device[T]) LowRankInvNorm(dst, w, a, b compute.Tensor, scale float32) {
	if d.err != nil {
		return
	}
	out, down, up := Data[T](dst), Data[T](a), Data[T](b)
	k, r := w.Shape.Cols(), b.Shape.Cols()
	d.each(len(out), lowRankRows, func(worker, lo, hi int) {
		sum := sized(&d.scratch[worker].a, (hi-lo)*k)
		for i := lo; i < hi; i++ {
			readRow(sum[(i-lo)*k:(i-lo+1)*k], w, i)
		}
		d.multiply(worker, product[T]{
			m: hi - lo, n: k, k: r, alpha: T(scale), a: matrix[T]{up[lo*r:], r, false}, b: matrix[T]{down, k, false},
			dst: matrix[T]{sum, k, false}, accumulate: true,
		})
		for m := range hi - lo {
			row := sum[m*k : (m+1)*k]
			out[lo+m] = 0
			if square := vector.Dot(row, row); square != 0 {
				out[lo+m] = T(1 / math.Sqrt(float64(square)))
			}
		}
	})
}
