//go:build !openblas

package cpu

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
)

// BLAS names the implementation in use.
func BLAS() string { return "gonum" }

const (
	// tileRows and tileCols are the destination tile of one chunk of a product.
	tileRows = 128
	tileCols = 192
	// tileLeast is where tiles are not halved any more to have enough of them.
	tileLeast = 32
	// blockRows x blockCols is the most that gonum computes without starting
	// goroutines of its own, which would not respect the device's workers.
	blockRows = 64
	blockCols = 192
	// blockInner keeps the block of the second factor in L2: gonum walks over
	// all of it for every row of the first. blockDot is the same for products
	// with a transposed second factor: they are inner products, and those of
	// 128 run at 11 GFLOP/s where those of 768 run at 18.
	blockInner = 128
	blockDot   = 768
)

var implementation gonum.Implementation

// gemm computes c = alpha op(a) op(b) + beta c, op(a) [m,k], op(b) [k,n], with
// the row strides lda, ldb and ldc.
func gemm[T Float](ta, tb blas.Transpose, m, n, k int, alpha T, a []T, lda int, b []T, ldb int, beta T, c []T, ldc int) {
	if k == 0 {
		scaleRows(m, n, beta, c, ldc)
	}
	inner := blockInner
	if tb == blas.Trans {
		inner = blockDot
	}
	for l := 0; l < k; l += inner {
		for i := 0; i < m; i += blockRows {
			for j := 0; j < n; j += blockCols {
				gemmBlock(ta, tb, min(blockRows, m-i), min(blockCols, n-j), min(inner, k-l), alpha,
					a[at(ta, i, l, lda):], lda, b[at(tb, l, j, ldb):], ldb, beta, c[i*ldc+j:], ldc)
			}
		}
		beta = 1
	}
}

// gemmBlock is one call of the BLAS in T.
func gemmBlock[T Float](ta, tb blas.Transpose, m, n, k int, alpha T, a []T, lda int, b []T, ldb int, beta T, c []T, ldc int) {
	if single[T]() {
		implementation.Sgemm(ta, tb, m, n, k, float32(alpha), as32(a), lda, as32(b), ldb, float32(beta), as32(c), ldc)
	} else {
		implementation.Dgemm(ta, tb, m, n, k, float64(alpha), as64(a), lda, as64(b), ldb, float64(beta), as64(c), ldc)
	}
}
