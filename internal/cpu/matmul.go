package cpu

import (
	"gonum.org/v1/gonum/blas"

	"github.com/lor2c/lor2c/internal/compute"
)

// trans turns the contract's flag into BLAS's.
func trans(t bool) blas.Transpose {
	if t {
		return blas.Trans
	}
	return blas.NoTrans
}

// at returns the offset of element (i, j) of op(x), x with row stride ld.
func at(t blas.Transpose, i, j, ld int) int {
	if t == blas.Trans {
		i, j = j, i
	}
	return i*ld + j
}

// scaleRows computes c = beta c, overwriting NaN where beta is 0: a product
// over no terms.
func scaleRows[T Float](m, n int, beta T, c []T, ldc int) {
	for i := range m {
		row := c[i*ldc : i*ldc+n]
		for j := range row {
			if beta == 0 {
				row[j] = 0
			} else {
				row[j] *= beta
			}
		}
	}
}

// tileShape returns the tile of the destination [m,n] that one chunk computes:
// the largest that the BLAS build asks for, halved along its longer side until
// there are enough tiles to share. It depends on the shape alone.
func tileShape(m, n int) (rows, cols int) {
	const enough = 8
	rows, cols = min(tileRows, m), min(tileCols, n)
	for ((m+rows-1)/rows)*((n+cols-1)/cols) < enough {
		switch {
		case rows >= cols && rows > tileLeast:
			rows = (rows + 1) / 2
		case cols > tileLeast:
			cols = (cols + 1) / 2
		default:
			return rows, cols
		}
	}
	return rows, cols
}

// tiles calls f for tiles [i0,i1) x [j0,j1) of a destination [m,n]. Rows vary
// fastest, so that workers read the same columns of the second factor.
func (d *Device[T]) tiles(m, n int, f func(i0, i1, j0, j1 int)) {
	if m == 0 || n == 0 {
		return
	}
	rows, cols := tileShape(m, n)
	down := (m + rows - 1) / rows
	across := (n + cols - 1) / cols
	d.each(down*across, 1, func(_, lo, hi int) {
		for t := lo; t < hi; t++ {
			i, j := t%down*rows, t/down*cols
			f(i, min(m, i+rows), j, min(n, j+cols))
		}
	})
}

// Gemm computes dst = alpha op(a) op(b), or adds it.
func (d *Device[T]) Gemm(dst compute.Tensor, alpha float32, a compute.Tensor, ta bool, b compute.Tensor, tb bool, accumulate bool) {
	if d.err != nil {
		return
	}
	out, x, y := Data[T](dst), Data[T](a), Data[T](b)
	lda, ldb, ldc := a.Shape.Cols(), b.Shape.Cols(), dst.Shape.Cols()
	k := lda
	if ta {
		k = a.Shape.Rows()
	}
	beta := T(0)
	if accumulate {
		beta = 1
	}
	opA, opB := trans(ta), trans(tb)
	d.tiles(dst.Shape.Rows(), ldc, func(i0, i1, j0, j1 int) {
		gemm(opA, opB, i1-i0, j1-j0, k, T(alpha), tail(x, at(opA, i0, 0, lda)), lda,
			tail(y, at(opB, 0, j0, ldb)), ldb, beta, out[i0*ldc+j0:], ldc)
	})
}

// tail returns x from i on, nothing where a factor is empty.
func tail[T Float](x []T, i int) []T { return x[min(i, len(x)):] }

// Linear computes dst = act(x WT + bias). Bias and activation are applied to a
// tile while it is in cache.
func (d *Device[T]) Linear(dst, pre, x, w, bias compute.Tensor, act compute.Act) {
	if d.err != nil {
		return
	}
	out, before, in := Data[T](dst), Data[T](pre), Data[T](x)
	weight, shift := Data[T](w), Data[T](bias)
	if before == nil {
		before = out
	}
	k, m := x.Shape.Cols(), dst.Shape.Cols()
	d.tiles(x.Shape.Rows(), m, func(i0, i1, j0, j1 int) {
		gemm(blas.NoTrans, blas.Trans, i1-i0, j1-j0, k, 1, tail(in, i0*k), k,
			tail(weight, j0*k), k, 0, before[i0*m+j0:], m)
		for n := i0; n < i1; n++ {
			z := before[n*m+j0 : n*m+j1]
			if shift != nil {
				axpy(z, 1, shift[j0:j1])
			}
			if act != compute.Identity {
				activate(act, out[n*m+j0:n*m+j1], z)
			}
		}
	})
}
