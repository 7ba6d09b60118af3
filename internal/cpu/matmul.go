package cpu

import (
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/vector"
)

// tileShape returns the size of the tile of the destination [m,n] that one chunk computes. It is the size of the BLAS
// build, halved along its longer side until there are enough tiles for all workers. It depends on the shape alone.
func tileShape(m, n int) (rows, cols int) {
	const enough = 8
	rows, cols = min(tileRows, m), min(tileCols, n)
	for ceil(m, rows)*ceil(n, cols) < enough {
		switch {
		case rows >= cols && rows > tileLeast:
			rows = ceil(rows, 2)
		case cols > tileLeast:
			cols = ceil(cols, 2)
		default:
			return rows, cols
		}
	}
	return rows, cols
}

// tiles calls f for all tiles [i0,i1) x [j0,j1) of a destination [m,n], each on some worker w. Rows vary fastest, so
// that workers read the same columns of the second factor.
func (d *Device[T]) tiles(m, n int, f func(w, i0, i1, j0, j1 int)) {
	rows, cols := tileShape(m, n)
	down, across := ceil(m, rows), ceil(n, cols)
	d.each(down*across, 1, func(w, lo, hi int) {
		for t := lo; t < hi; t++ {
			i, j := t%down*rows, t/down*cols
			f(w, i, min(m, i+rows), j, min(n, j+cols))
		}
	})
}

// Gemm computes dst = alpha op(a) op(b), or adds it to dst.
func (d *Device[T]) Gemm(
	dst compute.Tensor, alpha float32, a compute.Tensor, ta bool, b compute.Tensor, tb bool, accumulate bool,
) {
	if d.err != nil {
		return
	}
	k := a.Shape.Cols()
	if ta {
		k = a.Shape.Rows()
	}
	m, n := dst.Shape.Rows(), dst.Shape.Cols()
	// The rows of activations are those of dst, or the inner indices where dst is the gradient of a weight.
	tiled := d.tiled(n, k)
	if ta {
		tiled = d.tiled(m, n)
	}
	right, weights := secondFactor[T](b, tb)
	d.share(product[T]{
		m: m, n: n, k: k, alpha: T(alpha), accumulate: accumulate, tiled: tiled,
		a: matrix[T]{Data[T](a), a.Shape.Cols(), ta}, b: right, weights: weights,
		dst: matrix[T]{Data[T](dst), n, false},
	}, func(int, int, int, int) {})
}

// Linear computes dst = act(x WT + bias). Bias and activation are applied to a part of the destination while it is in
// cache.
func (d *Device[T]) Linear(dst, pre, x, w, bias compute.Tensor, act compute.Act) {
	if d.err != nil {
		return
	}
	out, before, shift := Data[T](dst), Data[T](pre), Data[T](bias)
	if before == nil {
		before = out
	}
	k, m := x.Shape.Cols(), dst.Shape.Cols()
	right, weights := secondFactor[T](w, true)
	d.share(product[T]{
		m: x.Shape.Rows(), n: m, k: k, alpha: 1, tiled: d.tiled(m, k),
		a: matrix[T]{Data[T](x), k, false}, b: right, weights: weights,
		dst: matrix[T]{before, m, false},
	}, func(i0, i1, j0, j1 int) {
		for n := i0; n < i1; n++ {
			z := before[n*m+j0 : n*m+j1]
			if shift != nil {
				vector.Add(z, z, shift[j0:j1])
			}
			if act != compute.Identity {
				activate(act, out[n*m+j0:n*m+j1], z)
			}
		}
	})
}
