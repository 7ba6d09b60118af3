package sgemm

// This file multiplies on the tile unit of x86 processors (AMX), which has products of bfloat16 that are added in
// float32. A float32 is the sum of three bfloat16, its parts, each the nearest to what the parts before it leave
// (Henry, Tang and Heinecke, "Leveraging the bfloat16 Artificial Intelligence Datatype For Higher-Precision
// Computations", ARITH 2019). Six of the nine products of parts are computed. Each of the others is below 2^-26 of the
// product.
//
// Inner indices are taken in blocks of TileInner. An element is the sum, in order, of alpha times the sum of every
// block. That sum is computed in steps of 32 inner indices, six products of parts a step. A product of parts adds the
// sum of two chains of fused multiply-adds, one for the first 16 indices and one for the last. Every operation is
// rounded to the nearest, with subnormal operands and results taken as 0. So the bits of an element do not depend on
// the rows or columns that are multiplied together.

const (
	// TileInner is the largest number of inner indices of one block of a product on the tile unit.
	TileInner = 384
	// TileSide is the number of rows and of columns of the destination that one kernel computes.
	TileSide = 32

	tileStep = 32                  // inner indices of a step
	partSize = TileSide * tileStep // elements of one part of one step
	allParts = 3
)

// Tiles are the kernels of the tile unit. They take factors in the order of the vector kernels beside them.
type Tiles struct{ vectors *Kernels }

// Name returns the name of the instruction set.
func (t *Tiles) Name() string { return "AMX" }

// steps returns how many steps k inner indices take.
func steps(k int) int { return (k + tileStep - 1) / tileStep }

// strips returns how many strips of TileSide rows or columns n of them take.
func strips(n int) int { return (n + TileSide - 1) / TileSide }

// PackedLeft returns the number of elements that a first factor of m rows and k columns takes when it is packed.
func (t *Tiles) PackedLeft(m, k int) int { return strips(m) * steps(k) * allParts * partSize }

// PackedRight returns the number of elements that a second factor of k rows and n columns takes when it is packed.
// parts is the number of its parts.
func (t *Tiles) PackedRight(k, n, parts int) int { return strips(n) * steps(k) * parts * partSize }

// PackLeft packs the first m rows and k columns of a into dst. k is at most TileInner. Strip s of TileSide rows begins
// at element PackedLeft(TileSide s, k).
func (t *Tiles) PackLeft(dst []uint16, a Matrix, m, k int, w *Scratch) {
	for i := 0; i < m; i += TileSide {
		rows := min(TileSide, m-i)
		t.packStrip(dst[t.PackedLeft(i, k):], a.At(i, 0), rows, k, w)
	}
}

// packStrip packs up to TileSide rows of a first factor.
func (t *Tiles) packStrip(dst []uint16, a Matrix, rows, k int, w *Scratch) {
	if a.Trans {
		block := sized(&w.Left, TileSide*TileInner)
		interleave(block, TileInner, a.Data, a.Stride, k, rows)
		a = Matrix{Data: block, Stride: TileInner}
	}
	for step := range steps(k) {
		to := dst[step*allParts*partSize:][:allParts*partSize]
		from, stride := w.square(a.At(0, step*tileStep), rows, k-step*tileStep)
		split3(&to[0], &from[0], stride, tileStep/2, tileStep/2)
		split3(&to[partSize/2], &from[tileStep/2*stride], stride, tileStep/2, tileStep/2)
	}
}

// square returns the elements of the first TileSide rows and columns of m, and their stride. If m has fewer they are a
// copy in w with zeros.
func (w *Scratch) square(m Matrix, rows, columns int) ([]float32, int) {
	if rows >= TileSide && columns >= TileSide {
		return m.Data, m.Stride
	}
	copied := sized(&w.Tile, TileSide*TileSide)
	clear(copied)
	rows, columns = min(rows, TileSide), min(columns, TileSide)
	for i := range rows {
		copy(copied[i*TileSide:], m.Data[i*m.Stride:][:columns])
	}
	return copied, TileSide
}

// PackRight packs the first k rows and n columns of b, at most TileSide, into dst. k is at most TileInner.
func (t *Tiles) PackRight(dst []uint16, b Matrix, k, n int, w *Scratch) {
	if b.Trans {
		panel := sized(&w.Right, t.vectors.PackedRight(k, n))
		t.vectors.PackRight(panel, b, k, n)
		b = Matrix{Data: panel, Stride: t.vectors.padded(n)}
	}
	packPanel(dst, b, k, n, allParts, w)
}

// PackTiles packs the k rows from l on and the n columns from j on, at most TileSide, of W, or of WT if trans is set,
// as a second factor of Parts parts into dst. k is at most TileInner.
func (w *Weights) PackTiles(dst []uint16, trans bool, l, k, j, n int, s *Scratch) {
	panel := w.packed(trans, l, k, j, n, s)
	packPanel(dst, Matrix{Data: panel, Stride: w.kernels.padded(n)}, k, n, w.Parts(), s)
}

// Parts returns the number of bfloat16 whose sum every element is.
func (w *Weights) Parts() int {
	switch w.storage {
	case BFloat16:
		return 1
	case Float16:
		return 2
	}
	return allParts
}

// packPanel packs a second factor of k rows and up to TileSide columns, which is not transposed.
func packPanel(dst []uint16, b Matrix, k, n, parts int, w *Scratch) {
	split := [allParts]func(*uint16, *float32, int, int, int){split1, split2, split3}[parts-1]
	for step := range steps(k) {
		to := dst[step*parts*partSize:][:parts*partSize]
		from, stride := w.square(b.At(step*tileStep, 0), k-step*tileStep, n)
		split(&to[0], &from[0], stride, tileStep/2*stride, tileStep/2)
		split(&to[partSize/2], &from[tileStep/2], stride, tileStep/2*stride, tileStep/2)
	}
}

// Multiply computes c = alpha a b from packed factors, or adds it to c if accumulate is set. a [m,k], b [k,n], c [m,n]
// with the given stride. parts is the number of parts of b.
func (t *Tiles) Multiply(
	m, n, k int, alpha float32, a, b []uint16, parts int, accumulate bool, c []float32, stride int, w *Scratch,
) {
	add := 0
	if accumulate {
		add = 1
	}
	kernel := [allParts]func(int, *uint16, *uint16, *float32, int, float32, int, int, uint32, *float32){
		tiles1, tiles2, tiles3,
	}[parts-1]
	tile := sized(&w.Tile, TileSide*TileSide)
	for j := 0; j < n; j += TileSide {
		mask := uint32(1<<min(TileSide, n-j) - 1)
		// A call cannot be preempted. It is divided so that it takes microseconds.
		const rows = 8 * TileSide
		for i := 0; i < m; i += rows {
			kernel(steps(k), &a[t.PackedLeft(i, k)], &b[t.PackedRight(k, j, parts)], &c[i*stride+j], stride, alpha, add,
				min(rows, m-i), mask, &tile[0])
		}
	}
}
