package sgemm

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
)

// stored returns a random matrix of the given size. Its rows are followed by
// unused columns that contain NaN.
func stored(r *rand.Rand, rows, columns int, trans bool) Matrix {
	if trans {
		rows, columns = columns, rows
	}
	m := Matrix{Stride: columns + r.IntN(3), Trans: trans}
	m.Data = make([]float32, rows*m.Stride)
	for i := range m.Data {
		m.Data[i] = float32(math.NaN())
		if i%m.Stride < columns {
			m.Data[i] = float32(r.NormFloat64())
		}
	}
	return m
}

func (m Matrix) get(i, j int) float32 { return m.At(i, j).Data[0] }

// fused returns a b + c, rounded once.
func fused(a, b, c float32) float32 {
	product := new(big.Float).SetPrec(200).Mul(big.NewFloat(float64(a)), big.NewFloat(float64(b)))
	x, _ := product.Add(product, big.NewFloat(float64(c))).Float32()
	return x
}

// element computes one element of a product by the definition in the package comment.
func element(a, b Matrix, i, j, k int, alpha float32, accumulate bool, c float32) float32 {
	for l := 0; l < k; l += Inner {
		var sum float32
		for x := l; x < min(k, l+Inner); x++ {
			sum = fused(a.get(i, x), b.get(x, j), sum)
		}
		if sum *= alpha; accumulate || l > 0 {
			sum += c
		}
		c = sum
	}
	return c
}

// TestProduct compares every bit of every element with the definition, for shapes on both sides of every edge, both
// instruction sets, transposed factors, and strides. Memory between the rows of the destination must not change.
func TestProduct(t *testing.T) {
	if len(all()) == 0 {
		t.Skip("this processor has no kernels")
	}
	shapes := [][3]int{
		{1, 1, 1}, {1, 33, 5}, {2, 16, 8}, {3, 8, 9}, {5, 31, 17}, {6, 32, 40}, {7, 47, 16}, {13, 64, 7}, {14, 15, 24},
		{15, 17, 3}, {16, 2, 100}, {29, 49, 12}, {4, 40, Inner}, {9, 20, Inner + 1}, {2, 9, 2*Inner + 5},
	}
	for _, s := range all() {
		for _, shape := range shapes {
			for variant := range 8 {
				m, n, k := shape[0], shape[1], shape[2]
				ta, tb, accumulate := variant&1 > 0, variant&2 > 0, variant&4 > 0
				t.Run(fmt.Sprintf(
					"isa=%s/m=%d/n=%d/k=%d/ta=%t/tb=%t/add=%t", s.Name(), m, n, k, ta, tb, accumulate,
				), func(t *testing.T) {
					r := rand.New(rand.NewPCG(uint64(m*n), uint64(k)))
					a, b := stored(r, m, k, ta), stored(r, k, n, tb)
					c, stride, alpha := make([]float32, m*(n+2)), n+2, float32(0.75)
					for i := range c {
						c[i] = float32(r.NormFloat64())
					}
					want := slices.Clone(c)
					for i := range m {
						for j := range n {
							want[i*stride+j] = element(a, b, i, j, k, alpha, accumulate, c[i*stride+j])
						}
					}
					s.Product(m, n, k, alpha, a, b, accumulate, c, stride, new(Scratch))
					for i := range c {
						if math.Float32bits(c[i]) != math.Float32bits(want[i]) {
							t.Fatalf("element %d,%d is %v; want %v", i/stride, i%stride, c[i], want[i])
						}
					}
				})
			}
		}
	}
}

// BenchmarkProduct multiplies two square matrices on one goroutine.
func BenchmarkProduct(b *testing.B) {
	for _, s := range all() {
		for _, size := range []int{64, 768} {
			b.Run(fmt.Sprintf("isa=%s/n=%d", s.Name(), size), func(b *testing.B) {
				r := rand.New(rand.NewPCG(1, 2))
				x, y := stored(r, size, size, false), stored(r, size, size, true)
				c, w := make([]float32, size*size), new(Scratch)
				for b.Loop() {
					s.Product(size, size, size, 1, x, y, false, c, size, w)
				}
				b.ReportMetric(2*float64(size*size*size)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
			})
		}
	}
}
