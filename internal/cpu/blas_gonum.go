//go:build !openblas

package cpu

import (
	"gonum.org/v1/gonum/blas/gonum"

	"github.com/lor2c/lor2c/internal/sgemm"
)

// vectors are the kernels for products of float32 on this processor. If it has none vectors is nil, and gonum
// multiplies.
var vectors = sgemm.Best()

// bestTiles returns the kernels of the tile unit, or nil if there is none.
func bestTiles() *sgemm.Tiles { return sgemm.BestTiles() }

// BLAS returns the name of the implementation that multiplies matrices of float32.
func BLAS() string {
	if vectors == nil {
		return "gonum"
	}
	return vectors.Name()
}

// Library returns "", because the products of this build are part of the program.
func Library() string { return "" }

const (
	// tileRows and tileCols are the size of the destination tile of one chunk of a product.
	tileRows = 128
	tileCols = 192
	// tileLeast is the size below which tiles are not halved to get more of them.
	tileLeast = 32
	// blockRows x blockCols is the largest block that gonum computes without starting goroutines, which would exceed
	// the number of workers of the device.
	blockRows = 64
	blockCols = 192
	// blockInner is such that the block of the second factor stays in L2, because gonum reads all of it for every row
	// of the first. blockDot is the same for a transposed second factor. Those products are inner products, which run
	// at 11 GFLOP/s with 128 terms and at 18 with 768.
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
