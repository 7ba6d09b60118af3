// Package sgemm multiplies matrices of float32 with the vector instructions of the processor: AVX-512 or AVX2 on amd64.
//
// The product is blocked as in Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (ACM TOMS
// 34(3), 2008). A block of the second factor is packed into panels of a few vectors' width, a block of the first into
// panels of a few rows, and a kernel keeps one tile of the destination in registers while the inner index runs.
//
// The inner indices are taken in blocks of Inner. Every element of a product is the sum, in order, of alpha times a
// chain of fused multiply-adds for each block. So its bits do not depend on the instruction set, on the number of
// rows that are multiplied together, or on how callers divide the destination.
package sgemm

import "fmt"

// Inner is the largest number of inner indices of one block.
const Inner = 384

// Matrix is a matrix, or the transpose of one, that is stored by rows.
type Matrix struct {
	Data   []float32
	Stride int  // elements from one stored row to the next
	Trans  bool // the matrix is the transpose of the stored one
}

// At returns the matrix that begins at element (i, j) of m.
func (m Matrix) At(i, j int) Matrix {
	if m.Trans {
		i, j = j, i
	}
	m.Data = m.Data[min(i*m.Stride+j, len(m.Data)):]
	return m
}

// kernel computes a tile of c: alpha times the product of a packed panel of a and one of b over k inner indices, added
// to c if accumulate is not 0. ldc is the stride of c in elements.
type kernel func(k int, a, b, c *float32, ldc int, alpha float32, accumulate int)

// halfKernel is a kernel whose second factor has elements of two bytes.
type halfKernel func(k int, a *float32, b *uint16, c *float32, ldc int, alpha float32, accumulate int)

// panelsKernel is a kernel for several panels of b, which are `apart` bytes from one another. c has their columns side
// by side. The elements of b are float32 or have two bytes.
type panelsKernel func(k int, a *float32, b *byte, apart int, c *float32, ldc int, alpha float32, accumulate int)

// Kernels has the kernels of one instruction set.
type Kernels struct {
	name  string
	lanes int // elements of a vector
	// tiles[v][r-1] is the kernel for r rows and v+1 vectors of columns.
	tiles [2][]kernel
	// halves[f][r-1] is the kernel for r rows and two vectors of columns that are stored as f, for formats of two bytes.
	halves [FourBit + 1][]halfKernel
	// panels[f][r-1][p-2] is the kernel for r rows and p panels that are stored as f. There are kernels for few rows only.
	panels [FourBit + 1][][]panelsKernel
	// dequantize writes whole blocks of elements in four bits to dst as float32.
	dequantize func(dst *float32, codes *byte, scales, levels *float32, blocks int)
}

// Name returns the name of the instruction set.
func (s *Kernels) Name() string { return s.name }

// rows returns the largest number of rows of a panel of the first factor.
func (s *Kernels) rows() int { return len(s.tiles[0]) }

// panelRows returns the number of rows of every panel but the last of a first factor of m rows. The panels are as few
// as possible and nearly equal: two of 8 rows take less time than one of 14 and one of 2, which waits for its sums.
func (s *Kernels) panelRows(m int) int {
	panels := max(1, (m+s.rows()-1)/s.rows())
	return (m + panels - 1) / panels
}

// Width returns the number of columns of a panel of the second factor. Callers divide columns at multiples of it.
func (s *Kernels) Width() int { return 2 * s.lanes }

// padded returns the number of columns that n columns take in panels. The last panel may have only one vector per
// row.
func (s *Kernels) padded(n int) int { return (n + s.lanes - 1) / s.lanes * s.lanes }

// PackedRight returns the number of elements that a second factor of k rows and n columns takes when it is packed.
func (s *Kernels) PackedRight(k, n int) int { return k * s.padded(n) }

// PackRight packs the first k rows and n columns of b into dst. k is at most Inner. Panel p has the columns from p
// Width on and begins at dst[k p Width].
func (s *Kernels) PackRight(dst []float32, b Matrix, k, n int) {
	width := s.Width()
	for j := 0; j < n; j += width {
		columns := min(width, n-j)
		panel := s.padded(columns)
		s.packPanel(dst[k*j:k*(j+panel)], panel, b.At(0, j), k, columns)
	}
}

// packPanel packs one panel of the given width into dst. Columns of the panel beyond the last column of the matrix
// are 0.
func (s *Kernels) packPanel(dst []float32, panel int, b Matrix, k, columns int) {
	if !b.Trans {
		for l := range k {
			row := dst[l*panel : (l+1)*panel]
			copy(row, b.Data[l*b.Stride:l*b.Stride+columns])
			clear(row[columns:])
		}
		return
	}
	if columns < panel {
		clear(dst)
	}
	interleave(dst, panel, b.Data, b.Stride, columns, k)
}

// PackLeft packs the first m rows and k columns of a into dst, which needs m k elements. k is at most Inner.
func (s *Kernels) PackLeft(dst []float32, a Matrix, m, k int) {
	height := s.panelRows(m)
	for i := 0; i < m; i += height {
		rows := min(height, m-i)
		panel, part := dst[i*k:(i+rows)*k], a.At(i, 0)
		if !a.Trans {
			interleave(panel, rows, part.Data, part.Stride, rows, k)
			continue
		}
		for l := range k {
			copy(panel[l*rows:(l+1)*rows], part.Data[l*part.Stride:])
		}
	}
}

// interleave writes dst[l stride + i] = src[i srcStride + l] for i < n and l < k: a transpose.
func interleave(dst []float32, stride int, src []float32, srcStride, n, k int) {
	const block = 8
	whole := k / block * block
	if n < block || whole == 0 {
		interleaveRows(dst, stride, src, srcStride, n, 0, k)
		return
	}
	for i := 0; i < n; i += block {
		// The last eight rows overlap the previous ones, so that some elements are written twice.
		i = min(i, n-block)
		transpose8(&dst[i], stride, &src[i*srcStride], srcStride, whole/block)
	}
	interleaveRows(dst, stride, src, srcStride, n, whole, k)
}

// interleaveRows does what interleave does, for l from first on.
func interleaveRows(dst []float32, stride int, src []float32, srcStride, n, first, k int) {
	for i := range n {
		row := src[i*srcStride:]
		for l := first; l < k; l++ {
			dst[l*stride+i] = row[l]
		}
	}
}

// Multiply computes c = alpha a b from packed factors, or adds it to c if accumulate is set. a [m,k], b [k,n], c
// [m,n] with the given stride. tile is scratch memory of a few kilobytes that Multiply allocates once.
func (s *Kernels) Multiply(
	m, n, k int, alpha float32, a, b []float32, accumulate bool, c []float32, stride int, tile *[]float32,
) {
	add := 0
	if accumulate {
		add = 1
	}
	width, height := s.Width(), s.panelRows(m)
	for j := 0; j < n; j += width {
		columns := min(width, n-j)
		panel := s.padded(columns)
		tiles := s.tiles[panel/s.lanes-1]
		for i := 0; i < m; i += height {
			rows := min(height, m-i)
			multiply := tiles[rows-1]
			if columns == panel {
				multiply(k, &a[i*k], &b[j*k], &c[i*stride+j], stride, alpha, add)
				continue
			}
			s.edge(multiply, rows, columns, panel, k, alpha, &a[i*k], &b[j*k], accumulate, c[i*stride+j:], stride, tile)
		}
	}
}

// edge computes a tile with fewer columns than its panel, through scratch memory.
func (s *Kernels) edge(multiply kernel, rows, columns, panel, k int, alpha float32, a, b *float32, accumulate bool,
	c []float32, stride int, tile *[]float32) {
	if len(*tile) == 0 {
		*tile = make([]float32, s.rows()*s.Width())
	}
	t := *tile
	multiply(k, a, b, &t[0], panel, alpha, 0)
	for i := range rows {
		from, to := t[i*panel:i*panel+columns], c[i*stride:i*stride+columns]
		if !accumulate {
			copy(to, from)
			continue
		}
		for j, x := range from {
			to[j] += x
		}
	}
}

// Scratch is the memory that one goroutine needs for products: packed factors, a tile at the edge of a destination, and
// weights that are converted before they are packed.
type Scratch struct{ Left, Right, Tile, Spare []float32 }

// sized returns n elements of *buf with undefined contents. It grows *buf if necessary.
func sized(buf *[]float32, n int) []float32 {
	if cap(*buf) < n {
		*buf = make([]float32, n)
	}
	return (*buf)[:n]
}

// Product computes c = alpha a b on the calling goroutine, or adds it to c if accumulate is set. a [m,k], b [k,n], c
// [m,n] with the given stride. It packs one panel of b at a time, which is best for small products.
func (s *Kernels) Product(
	m, n, k int, alpha float32, a, b Matrix, accumulate bool, c []float32, stride int, w *Scratch,
) {
	if m == 0 || n == 0 {
		return
	}
	if k == 0 {
		panic(fmt.Sprintf("sgemm: product of %dx%d without inner indices", m, n))
	}
	width := s.Width()
	for l := 0; l < k; l += Inner {
		inner := min(Inner, k-l)
		left := sized(&w.Left, m*inner)
		s.PackLeft(left, a.At(0, l), m, inner)
		for j := 0; j < n; j += width {
			columns := min(width, n-j)
			right := sized(&w.Right, s.PackedRight(inner, columns))
			s.PackRight(right, b.At(l, j), inner, columns)
			s.Multiply(m, columns, inner, alpha, left, right, accumulate || l > 0, c[j:], stride, &w.Tile)
		}
	}
}
