package sgemm

import (
	"math"
	"unsafe"
)

// Storage is how the elements of Weights are stored.
type Storage uint8

const (
	// Float32 takes four bytes.
	Float32 Storage = iota
	// BFloat16 takes two bytes: the upper half of a float32.
	BFloat16
	// Float16 takes two bytes, as in IEEE 754.
	Float16
	// FourBit takes four bits and a scale for every 64 elements, see package nf4.
	FourBit
)

// Weights is a matrix W that is the second factor of many products, as W or as WT. It is stored once, in the order in
// which products with WT read it: in panels of as many rows as a panel of a second factor has columns, column by
// column. Rows beyond the last whole panel are stored one after the other. Elements of two bytes become float32 where a
// product reads them.
type Weights struct {
	rows, cols int
	kernels    *Kernels // nil if the processor has none
	panel      int      // rows of a panel
	whole      int      // rows in whole panels
	storage    Storage
	full       []float32
	half       []uint16
	codes      []byte // of FourBit
	scales     []float32
}

// NewWeights returns weights of zeros for products with the kernels s. If s is nil all rows are stored one after the
// other.
func NewWeights(s *Kernels, rows, cols int, f Storage) *Weights {
	w := &Weights{rows: rows, cols: cols, kernels: s, storage: f}
	if s != nil {
		w.panel = s.Width()
		w.whole = rows / w.panel * w.panel
	}
	switch f {
	case FourBit:
	case Float32:
		w.full = make([]float32, rows*cols)
	default:
		w.half = make([]uint16, rows*cols)
	}
	return w
}

// Size returns the numbers of rows and columns.
func (w *Weights) Size() (rows, cols int) { return w.rows, w.cols }

// Storage returns how the elements are stored.
func (w *Weights) Storage() Storage { return w.storage }

// Bytes returns the size of the elements in memory.
func (w *Weights) Bytes() int64 { return int64(4*len(w.full) + 2*len(w.half)) }

// SetRows is the number of rows that different goroutines may set at the same time. It is a multiple of every panel's.
const SetRows = 64

// Set stores rows [from, to) of the matrix whose rows follow one another in src. from is a multiple of SetRows, and so
// is to unless it is the number of rows. Two bytes hold the nearest number, ties to even.
func (w *Weights) Set(src []float32, from, to int) {
	const columns = 64 // of a panel are ordered at a time
	block := make([]float32, w.panel*columns)
	for i := from; i < min(to, w.whole); i += w.panel {
		for j := 0; j < w.cols; j += columns {
			n := min(columns, w.cols-j)
			interleave(block, w.panel, src[i*w.cols+j:], w.cols, w.panel, n)
			w.put(i*w.cols+j*w.panel, block[:n*w.panel])
		}
	}
	if rest := max(from, w.whole); rest < to {
		w.put(rest*w.cols, src[rest*w.cols:to*w.cols])
	}
}

// Exact reports whether two bytes hold every element of src exactly.
func (f Storage) Exact(src []float32) bool {
	for _, v := range src {
		switch f {
		case BFloat16:
			if math.Float32bits(v)&0xffff != 0 {
				return false
			}
		case Float16:
			if f.wide(toFloat16(v)) != v {
				return false
			}
		}
	}
	return true
}

// put stores elements from a place on.
func (w *Weights) put(at int, src []float32) {
	switch w.storage {
	case Float32:
		copy(w.full[at:], src)
	case BFloat16:
		for i, v := range src {
			w.half[at+i] = toBFloat16(v)
		}
	default:
		for i, v := range src {
			w.half[at+i] = toFloat16(v)
		}
	}
}

// get writes the elements from a place on to dst.
func (w *Weights) get(dst []float32, at int) {
	switch w.storage {
	case Float32:
		copy(dst, w.full[at:])
		return
	case FourBit:
		w.Dequantize(dst, at)
		return
	}
	src := w.half[at : at+len(dst)]
	i := 0
	if w.kernels != nil && len(dst) >= 8 {
		i = len(dst) &^ 7
		if w.storage == BFloat16 {
			widenBFloat16(&dst[0], &src[0], i/8)
		} else {
			widenFloat16(&dst[0], &src[0], i/8)
		}
	}
	for ; i < len(dst); i++ {
		dst[i] = w.storage.wide(src[i])
	}
}

// Row writes the elements of row i from column j on to dst.
func (w *Weights) Row(dst []float32, i, j int) {
	if i >= w.whole {
		w.get(dst, i*w.cols+j)
		return
	}
	at := i/w.panel*w.panel*w.cols + i%w.panel + j*w.panel
	for c := range dst {
		if w.storage == Float32 {
			dst[c] = w.full[at+c*w.panel]
		} else {
			dst[c] = w.storage.wide(w.half[at+c*w.panel])
		}
	}
}

// Packed reports whether W, or WT if trans is set, is stored as kernels read it.
func (w *Weights) Packed(trans bool) bool {
	return trans && w.storage == Float32 && w.kernels != nil && w.whole == w.rows
}

// inPanel reports whether columns [j, j+n) of W, or of WT if trans is set, are a panel as kernels read it.
func (w *Weights) inPanel(trans bool, j, n int) bool { return trans && n == w.panel && j+n <= w.whole }

// packed returns the k rows from l on and the n columns from j on, at most a panel's, of W, or of WT if trans is set,
// as a packed second factor: from where they are stored, or else in scratch memory.
func (w *Weights) packed(trans bool, l, k, j, n int, s *Scratch) []float32 {
	if w.inPanel(trans, j, n) && w.storage == Float32 {
		return w.full[j*w.cols+l*w.panel:][:k*w.panel]
	}
	panel := sized(&s.Right, w.kernels.PackedRight(k, n))
	w.Pack(panel, &s.Spare, trans, l, k, j, n)
	return panel
}

// Pack packs the k rows from l on and the n columns from j on, at most a panel's, of W, or of WT if trans is set, as a
// second factor into dst. spare is scratch memory.
func (w *Weights) Pack(dst []float32, spare *[]float32, trans bool, l, k, j, n int) {
	dst = dst[:w.kernels.PackedRight(k, n)]
	switch {
	case !trans:
		w.packRows(dst, sized(spare, w.panel*n), l, k, j, n)
	case w.inPanel(trans, j, n):
		w.get(dst, j*w.cols+l*w.panel)
	default:
		rows := sized(spare, n*k)
		for i := range n {
			w.get(rows[i*k:(i+1)*k], (j+i)*w.cols+l)
		}
		w.kernels.packPanel(dst, w.kernels.padded(n), Matrix{rows, k, true}, k, n)
	}
}

// packRows packs rows [l, l+k) and columns [j, j+n) of W into dst. spare is memory for n columns of a panel.
func (w *Weights) packRows(dst, spare []float32, l, k, j, n int) {
	padded := w.kernels.padded(n)
	for r := l; r < l+k; {
		if r >= w.whole {
			row := dst[(r-l)*padded:][:padded]
			w.get(row[:n], r*w.cols+j)
			clear(row[n:])
			r++
			continue
		}
		first := r / w.panel * w.panel
		rows := min(first+w.panel, l+k) - r
		at := first*w.cols + j*w.panel
		src := spare[:n*w.panel]
		if w.storage == Float32 {
			src = w.full[at : at+n*w.panel]
		} else {
			w.get(src, at)
		}
		to := dst[(r-l)*padded:]
		interleave(to, padded, src[r-first:], w.panel, n, rows)
		for i := range rows {
			clear(to[i*padded+n : (i+1)*padded])
		}
		r += rows
	}
}

// Together returns the number of panels of WT that Multiply reads at the same time for a first factor of m rows, from
// where they are stored. Several take much less time than one after the other.
func (w *Weights) Together(m int) int {
	if w.kernels == nil || m < 1 || m > len(w.kernels.panels[w.storage]) {
		return 1
	}
	return len(w.kernels.panels[w.storage][m-1]) + 1
}

// Multiply computes c = alpha a b, or adds it to c if accumulate is set, for the n columns from j on of W, or of WT if
// trans is set, and its k rows from l on. j is a multiple of a panel's columns. a has m rows and is packed. Few rows
// read elements from where they are stored.
func (w *Weights) Multiply(
	m, n, k int, alpha float32, a []float32, trans bool, l, j int, accumulate bool, c []float32, stride int, s *Scratch,
) {
	add := 0
	if accumulate {
		add = 1
	}
	together := 1
	if trans {
		together = w.Together(m)
	}
	for end := j + n; j < end; {
		panels := min(together, (min(end, w.whole)-j)/w.panel)
		if panels < 2 {
			columns := min(w.panel, end-j)
			w.multiplyPanel(m, columns, k, alpha, a, trans, l, j, accumulate, c, stride, s)
			j, c = j+columns, c[columns:]
			continue
		}
		first, apart := w.address(j*w.cols+l*w.panel), int(uintptr(w.panel*w.cols)*w.storage.size())
		w.kernels.panels[w.storage][m-1][panels-2](k, &a[0], first, apart, &c[0], stride, alpha, add)
		j, c = j+panels*w.panel, c[panels*w.panel:]
	}
}

// size returns the bytes of an element that is not stored in four bits.
func (f Storage) size() uintptr {
	if f == Float32 {
		return 4
	}
	return 2
}

// address returns the address of the element at a place.
func (w *Weights) address(at int) *byte {
	if w.storage == Float32 {
		return (*byte)(unsafe.Pointer(&w.full[at]))
	}
	return (*byte)(unsafe.Pointer(&w.half[at]))
}

// multiplyPanel does what Multiply does, for at most a panel's columns.
func (w *Weights) multiplyPanel(
	m, n, k int, alpha float32, a []float32, trans bool, l, j int, accumulate bool, c []float32, stride int, s *Scratch,
) {
	height := w.kernels.panelRows(m)
	halves := w.kernels.halves[w.storage]
	if w.inPanel(trans, j, n) && height <= len(halves) && m <= fewPanels*height {
		add := 0
		if accumulate {
			add = 1
		}
		for i := 0; i < m; i += height {
			rows := min(height, m-i)
			halves[rows-1](k, &a[i*k], &w.half[j*w.cols+l*w.panel], &c[i*stride], stride, alpha, add)
		}
		return
	}
	w.kernels.Multiply(m, n, k, alpha, a, w.packed(trans, l, k, j, n, s), accumulate, c, stride, &s.Tile)
}

// fewPanels is the number of panels of a first factor up to which kernels convert elements of two bytes themselves.
// With more it is faster to convert them once.
const fewPanels = 2

// Matrix returns the k rows from l on and the n columns from j on of W, or of WT if trans is set, as a copy in *buf. It
// is for processors without kernels.
func (w *Weights) Matrix(buf *[]float32, trans bool, l, k, j, n int) Matrix {
	first, rows, from, columns := l, k, j, n
	if trans {
		first, rows, from, columns = j, n, l, k
	}
	dst := sized(buf, rows*columns)
	for i := range rows {
		w.Row(dst[i*columns:(i+1)*columns], first+i, from)
	}
	return Matrix{dst, columns, trans}
}

// wide returns the value of an element of two bytes.
func (f Storage) wide(h uint16) float32 {
	if f == BFloat16 {
		return math.Float32frombits(uint32(h) << 16)
	}
	sign, exponent, fraction := uint32(h>>15)<<31, uint32(h>>10)&31, uint32(h)&1023
	switch {
	case exponent == 31:
		return math.Float32frombits(sign | 0xff<<23 | fraction<<13)
	case exponent == 0:
		v := float32(fraction) / (1 << 24)
		return math.Float32frombits(sign | math.Float32bits(v))
	}
	return math.Float32frombits(sign | (exponent+112)<<23 | fraction<<13)
}

// toBFloat16 rounds to the nearest bfloat16, ties to even.
func toBFloat16(v float32) uint16 {
	b := math.Float32bits(v)
	if v != v {
		return uint16(b>>16) | 64
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

// toFloat16 rounds to the nearest float16, ties to even.
func toFloat16(v float32) uint16 {
	b := math.Float32bits(v)
	sign, rest := uint16(b>>16)&0x8000, b&0x7fffffff
	switch {
	case rest > 0x7f800000: // NaN
		return sign | 0x7e00 | uint16(rest>>13)&0x3ff
	case rest >= 0x477ff000: // from 65,520 on
		return sign | 0x7c00
	case rest < 0x38800000: // below 2^-14
		// Adding 0.5 leaves the multiple of 2^-24 in the low bits.
		return sign | uint16(math.Float32bits(math.Float32frombits(rest)+0.5)-0x3f000000)
	}
	return sign | uint16((rest+0xfff+rest>>13&1-112<<23)>>13)
}
