package sgemm

import "github.com/lor2c/lor2c/internal/nf4"

// NewFourBit returns weights in four bits per element, see package nf4, for products with the kernels s. All rows are
// stored one after the other, because a panel of rows would divide the blocks that share a scale. A product dequantises
// the part that it packs, which is in cache when it is read.
func NewFourBit(s *Kernels, rows, cols int) *Weights {
	w := NewWeights(s, 0, cols, FourBit)
	w.rows = rows
	n := rows * cols
	w.codes, w.scales = make([]byte, (n+1)/2), make([]float32, (n+nf4.Block-1)/nf4.Block)
	return w
}

// SetFourBit stores the codes and scales of weights in four bits.
func (w *Weights) SetFourBit(codes []byte, scales []float32) {
	copy(w.codes, codes[:len(w.codes)])
	copy(w.scales, scales[:len(w.scales)])
}

// FourBit returns the codes and scales of weights in four bits.
func (w *Weights) FourBit() (codes []byte, scales []float32) { return w.codes, w.scales }

// Dequantize writes the elements of weights in four bits from a place on, in row-major order, to dst.
func (w *Weights) Dequantize(dst []float32, at int) {
	if w.kernels != nil {
		head := min(len(dst), -at&(nf4.Block-1)) // elements before the first whole block
		nf4.Dequantize(dst[:head], w.codes, w.scales, at)
		dst, at = dst[head:], at+head
		if blocks := len(dst) / nf4.Block; blocks > 0 {
			w.kernels.dequantize(&dst[0], &w.codes[at/2], &w.scales[at/nf4.Block], &nf4.Levels[0], blocks)
			dst, at = dst[blocks*nf4.Block:], at+blocks*nf4.Block
		}
	}
	nf4.Dequantize(dst, w.codes, w.scales, at)
}
