package sgemm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// TestParts checks that the parts of a normal number add up to it exactly, as far as they are normal themselves, and
// that infinities and NaN have a part that is not finite.
func TestParts(t *testing.T) {
	tilesOrSkip(t)
	r := rand.New(rand.NewPCG(3, 4))
	values := make([]float32, 32*16)
	for i := range values {
		values[i] = math.Float32frombits(r.Uint32())
	}
	inf, largest := float32(math.Inf(1)), float32(math.MaxFloat32)
	copy(values, []float32{
		0, float32(math.Copysign(0, -1)), 1, -1, 1 + 0x1p-23, 1 - 0x1p-24, 0x1p-126, 0x1p-149, largest, -largest,
		inf, -inf, float32(math.NaN()),
		math.Float32frombits(0x7fffffff), math.Float32frombits(0xffffffff), math.Float32frombits(0x7f800001),
	})
	dst := make([]uint16, allParts*partSize)
	split3(&dst[0], &values[0], 32, 16, 16)
	for i, v := range values {
		at := i/32*32 + i%16*2 + i%32/16
		var sum float64
		for p := range allParts {
			sum += float64(BFloat16.wide(dst[p*partSize+at]))
		}
		// A part below 2^-126 is 0. Above the largest bfloat16 and a half, the first part is infinite.
		lost := math.Abs(sum - float64(v))
		switch big := math.Abs(float64(v)); {
		case !(big <= 0x1.fep127):
			if !math.IsNaN(sum) && !math.IsInf(sum, 0) && big > 0x1.ffp127 {
				t.Errorf("the parts of %v add up to %v", v, sum)
			}
		case big >= 0x1p-102 && lost > 0 || lost >= 0x1p-126:
			t.Errorf("the parts of %v (%#x) add up to %v", v, math.Float32bits(v), sum)
		}
		want := partsOf(v)
		for p := range allParts {
			got := BFloat16.wide(dst[p*partSize+at])
			if math.Float32bits(got) != math.Float32bits(want[p]) && (got == got || want[p] == want[p]) {
				t.Errorf("part %d of %v is %v; want %v", p, v, got, want[p])
			}
		}
	}
}

// TestTileAccuracy compares the errors of products on the tile unit with those of vector instructions, against float64.
// An error is relative to the sum of the magnitudes of the terms. The factors are random, of rows with magnitudes from
// 1e-20 to 1e+20, and such that sums cancel.
func TestTileAccuracy(t *testing.T) {
	s := tilesOrSkip(t)
	const m, n = 32, 40
	for _, kind := range []string{"random", "scaled", "cancelling"} {
		for _, k := range []int{16, 64, 1000} {
			t.Run(fmt.Sprintf("kind=%s/k=%d", kind, k), func(t *testing.T) {
				r := rand.New(rand.NewPCG(uint64(k), 7))
				a, b := stored(r, m, k, false), stored(r, n, k, false)
				for _, f := range []Matrix{a, b} {
					for i := range f.Data {
						row, l := i/f.Stride, i%f.Stride
						switch {
						case kind == "scaled" && &f.Data[0] == &a.Data[0]:
							f.Data[i] *= float32(math.Pow(10, float64(20-row%5*10)))
						case kind == "scaled":
							f.Data[i] *= float32(math.Pow(10, float64(15-row%4*5)))
						case kind == "cancelling" && l%2 == 1 && l < k:
							// Each pair of terms nearly cancels: the factors are equal but for the sign of one of them.
							f.Data[i] = f.Data[i-1] * (1 + float32(r.NormFloat64())*1e-4)
							if &f.Data[0] == &a.Data[0] {
								f.Data[i] = -f.Data[i]
							}
						}
					}
				}
				b.Trans = true
				c, d := make([]float32, m*n), make([]float32, m*n)
				s.product(m, n, k, 1, a, b, false, c, n)
				s.vectors.Product(m, n, k, 1, a, b, false, d, n, new(Scratch))
				var worst, worstChain, mean, meanChain float64
				for i := range m {
					for j := range n {
						var sum, size float64
						for l := range k {
							term := float64(a.get(i, l)) * float64(b.get(l, j))
							sum, size = sum+term, size+math.Abs(term)
						}
						e, chain := math.Abs(float64(c[i*n+j])-sum)/size, math.Abs(float64(d[i*n+j])-sum)/size
						worst, worstChain = max(worst, e), max(worstChain, chain)
						mean, meanChain = mean+e/(m*n), meanChain+chain/(m*n)
					}
				}
				t.Logf("largest error %.2g, of vector instructions %.2g; mean %.2g and %.2g", worst, worstChain, mean, meanChain)
				if !(worst <= worstChain && mean <= meanChain) {
					t.Error("the errors are larger than those of vector instructions")
				}
			})
		}
	}
}

// TestTileWeights checks that weights give the bits of their values for each way of storing them, as W and as WT.
func TestTileWeights(t *testing.T) {
	s := tilesOrSkip(t)
	const m = 35
	r := rand.New(rand.NewPCG(5, 6))
	for name, f := range storages {
		for _, size := range [][2]int{{64, 96}, {70, 500}, {45, 33}} {
			for _, trans := range []bool{false, true} {
				rows, cols := size[0], size[1]
				values := make([]float32, rows*cols)
				for i := range values {
					values[i] = float32(r.NormFloat64())
					if f == BFloat16 {
						values[i] = f.wide(toBFloat16(values[i]))
					} else if f == Float16 {
						values[i] = f.wide(toFloat16(values[i]))
					}
				}
				w := NewWeights(s.vectors, rows, cols, f)
				w.Set(values, 0, rows)
				n, k := cols, rows
				if trans {
					n, k = rows, cols
				}
				a := stored(r, m, k, false)
				got, want, scratch := make([]float32, m*n), make([]float32, m*n), new(Scratch)
				for l := 0; l < k; l += TileInner {
					inner := min(TileInner, k-l)
					left := make([]uint16, s.PackedLeft(m, inner))
					right := make([]uint16, s.PackedRight(inner, n, w.Parts()))
					s.PackLeft(left, a.At(0, l), m, inner, scratch)
					for j := 0; j < n; j += TileSide {
						w.PackTiles(right[s.PackedRight(inner, j, w.Parts()):], trans, l, inner, j, min(TileSide, n-j), scratch)
					}
					s.Multiply(m, n, inner, 0.5, left, right, w.Parts(), l > 0, got, n, scratch)
				}
				s.product(m, n, k, 0.5, a, Matrix{Data: values, Stride: cols, Trans: trans}, false, want, n)
				for i := range want {
					if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
						t.Fatalf("%s %v trans=%t: element %d is %v; want %v", name, size, trans, i, got[i], want[i])
					}
				}
			}
		}
	}
}
