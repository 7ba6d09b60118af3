//go:build openblas

package cpu

// #cgo LDFLAGS: -lopenblas
// void openblas_set_num_threads(int n);
import "C"

import (
	"gonum.org/v1/netlib/blas/netlib"

	"github.com/lor2c/lor2c/internal/sgemm"
)

// BLAS names what multiplies matrices.
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

// vectors is nil: OpenBLAS multiplies.
var vectors *sgemm.Kernels

// blas computes p in one call.
func (p product[T]) blas() { p.call(implementation) }
