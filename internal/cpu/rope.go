package cpu

import "github.com/lor2c/lor2c/internal/compute"

// RoPE rotates the pairs of every head by the angles of the row's position in a table.
func (d *Device[T]) RoPE(x, pos, table compute.Tensor, inverse bool) {
	if d.err != nil {
		return
	}
	in, at, angles := Data[T](x), ints[T](pos), Data[T](table)
	cols, headDim := x.Shape.Cols(), table.Shape.Cols()
	half := headDim / 2
	d.each(len(at), rowsOf(cols), func(_, lo, hi int) {
		for n := lo; n < hi; n++ {
			angle := rowAt(angles, at[n], headDim)
			cos, sin := angle[:half], angle[half:]
			for row := in[n*cols : (n+1)*cols]; len(row) >= headDim; row = row[headDim:] {
				turn(row[:half], row[half:headDim], cos, sin, inverse)
			}
		}
	})
}

// turn rotates the pairs of one head.
func turn[T Float](left, right, cos, sin []T, inverse bool) {
	if inverse {
		for i, c := range cos {
			a, b := left[i], right[i]
			left[i], right[i] = a*c+b*sin[i], b*c-a*sin[i]
		}
		return
	}
	for i, c := range cos {
		a, b := left[i], right[i]
		left[i], right[i] = a*c-b*sin[i], b*c+a*sin[i]
	}
}
