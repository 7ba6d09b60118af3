//go:build openblas

package cpu

// #cgo LDFLAGS: -lopenblas
// void openblas_set_num_threads(int n);
import "C"

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/netlib/blas/netlib"
)

// BLAS names the implementation in use.
func BLAS() string { return "openblas" }

const (
	// tileRows and tileCols are the destination tile of one chunk of a product.
	// OpenBLAS packs both factors anew for each: with 512 x 3072 that costs it
	// 7 % against one call for 4096 x 3072, with 256 x 768 it costs 17 %.
	tileRows = 512
	tileCols = 3072
	// tileLeast is where tiles are not halved any more to have enough of them.
	tileLeast = 192
)

var implementation netlib.Implementation

// The device shares a product among its own workers: OpenBLAS's threads would
// make the result depend on how many there are, and would compete with them.
func init() { C.openblas_set_num_threads(1) }

// gemm computes c = alpha op(a) op(b) + beta c, op(a) [m,k], op(b) [k,n], with
// the row strides lda, ldb and ldc.
func gemm[T Float](ta, tb blas.Transpose, m, n, k int, alpha T, a []T, lda int, b []T, ldb int, beta T, c []T, ldc int) {
	switch {
	case m == 0 || n == 0:
	case k == 0:
		scaleRows(m, n, beta, c, ldc)
	case single[T]():
		implementation.Sgemm(ta, tb, m, n, k, float32(alpha), as32(a), lda, as32(b), ldb, float32(beta), as32(c), ldc)
	default:
		implementation.Dgemm(ta, tb, m, n, k, float64(alpha), as64(a), lda, as64(b), ldb, float64(beta), as64(c), ldc)
	}
}
