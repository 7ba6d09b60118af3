package cpu

import (
	"math"

	"github.com/lor2c/lor2c/internal/compute"
)

// RoPE rotates the pairs of every head by angles that depend on the position.
func (d *Device[T]) RoPE(x, pos compute.Tensor, headDim int, base float64, inverse bool) {
	if d.err != nil {
		return
	}
	in, at := Data[T](x), ints[T](pos)
	cols, half := x.Shape.Cols(), headDim/2
	speed := sized(&d.sums, half)
	for i := range speed {
		speed[i] = math.Pow(base, -2*float64(i)/float64(headDim))
	}
	d.each(len(at), rowsOf(cols), func(w, lo, hi int) {
		cos, sin := sized(&d.scratch[w].a, half), sized(&d.scratch[w].b, half)
		for n := lo; n < hi; n++ {
			for i, v := range speed {
				s, c := math.Sincos(float64(at[n]) * v)
				if inverse {
					s = -s
				}
				cos[i], sin[i] = T(c), T(s)
			}
			for row := in[n*cols : (n+1)*cols]; len(row) >= headDim; row = row[headDim:] {
				left, right := row[:half], row[half:headDim]
				for i, c := range cos {
					a, b := left[i], right[i]
					left[i], right[i] = a*c-b*sin[i], b*c+a*sin[i]
				}
			}
		}
	})
}
