//go:build openblas

package cpu

// #cgo LDFLAGS: -lopenblas
// void openblas_set_num_threads(int n);
// char *openblas_get_config(void);
import "C"

import (
	"gonum.org/v1/netlib/blas/netlib"

	"github.com/lor2c/lor2c/internal/sgemm"
)

// BLAS returns the name of the implementation that multiplies matrices.
func BLAS() string { return "openblas" }

// Library returns the version of OpenBLAS and the processor whose kernels it chose, on which the last bits depend.
func Library() string { return C.GoString(C.openblas_get_config()) }

const (
	// tileRows and tileCols are the size of the destination tile of one chunk of a product. OpenBLAS packs both
	// factors again for each tile. Compared with one call for 4096 x 3072, tiles of 512 x 3072 cost 7 % more and
	// tiles of 256 x 768 cost 17 % more.
	tileRows = 512
	tileCols = 3072
	// tileLeast is the size below which tiles are not halved to get more of them.
	tileLeast = 192
)

var implementation netlib.Implementation

// The device divides a product among its workers. Threads of OpenBLAS would compete with them, and the result would
// depend on the number of threads.
func init() { C.openblas_set_num_threads(1) }

// vectors is nil because OpenBLAS multiplies.
var vectors *sgemm.Kernels

// bestTiles returns nil because OpenBLAS multiplies.
func bestTiles() *sgemm.Tiles { return nil }

// blas computes p with one call.
func (p product[T]) blas() { p.call(implementation) }
