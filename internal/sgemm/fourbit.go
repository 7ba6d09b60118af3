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
