//go:build !openblas

package cpu

import (
	"gonum.org/v1/gonum/blas/gonum"

	"github.com/lor2c/lor2c/internal/sgemm"
)

// vectors are the kernels for products of float32 on this processor; nil where it has none, and gonum multiplies.
var vectors = sgemm.Best()

// BLAS names what multiplies matrices of float32.
func BLAS() string {
	if vectors == nil {
		return "gonum"
	}
	return vectors.Name()
}

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

// blas computes p in blocks.
func (p product[T]) blas() {
	inner := blockInner
	if p.b.trans {
		inner = blockDot
	}
	for l := 0; l < p.k; l += inner {
		for i := 0; i < p.m; i += blockRows {
			for j := 0; j < p.n; j += blockCols {
				block := p.part(i, min(p.m, i+blockRows), j, min(p.n, j+blockCols))
				block.k, block.accumulate = min(inner, p.k-l), p.accumulate || l > 0
				block.a, block.b = block.a.at(0, l), block.b.at(l, 0)
				block.call(implementation)
			}
		}
	}
}
