package cpu

import "gonum.org/v1/gonum/blas"

// products has the functions of a BLAS that this package calls.
type products interface {
	Sgemm(
		ta, tb blas.Transpose, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32,
		c []float32, ldc int,
	)
	Dgemm(
		ta, tb blas.Transpose, m, n, k int, alpha float64, a []float64, lda int, b []float64, ldb int, beta float64,
		c []float64, ldc int,
	)
}

// call computes p with one call of a BLAS.
func (p product[T]) call(to products) {
	beta := T(0)
	if p.accumulate {
		beta = 1
	}
	a, b, c := p.a, p.b, p.dst
	if single[T]() {
		to.Sgemm(trans(a.trans), trans(b.trans), p.m, p.n, p.k, float32(p.alpha), as32(a.data), a.stride,
			as32(b.data), b.stride, float32(beta), as32(c.data), c.stride)
	} else {
		to.Dgemm(trans(a.trans), trans(b.trans), p.m, p.n, p.k, float64(p.alpha), as64(a.data), a.stride,
			as64(b.data), b.stride, float64(beta), as64(c.data), c.stride)
	}
}

// trans returns the BLAS constant for a flag.
func trans(t bool) blas.Transpose {
	if t {
		return blas.Trans
	}
	return blas.NoTrans
}
