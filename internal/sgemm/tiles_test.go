package sgemm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
)

// tilesOrSkip returns the kernels of the tile unit.
func tilesOrSkip(t testing.TB) *Tiles {
	s := BestTiles()
	if s == nil {
		t.Skip("this processor has no tile unit with bfloat16, or the system does not permit its use")
	}
	return s
}

// flush returns v, or 0 with its sign if v is subnormal.
func flush(v float32) float32 {
	if math.Abs(float64(v)) < 0x1p-126 {
		return float32(math.Copysign(0, float64(v)))
	}
	return v
}

// added returns a b + c, rounded once to float32, for a and b in bfloat16. Their product is exact in float64. The sum
// is rounded to odd there, which makes the second rounding right. Subnormal numbers count as 0.
func added(a, b, c float32) float32 {
	x, y := float64(flush(a))*float64(flush(b)), float64(flush(c))
	sum := x + y
	v := sum - x
	if lost := (x - (sum - v)) + (y - v); lost != 0 && math.Float64bits(sum)&1 == 0 {
		sum = math.Nextafter(sum, math.Copysign(math.Inf(1), lost))
	}
	return flush(float32(sum))
}

// partsOf returns the three parts of v.
func partsOf(v float32) (parts [3]float32) {
	for i := range parts {
		parts[i] = BFloat16.wide(toBFloat16(flush(v)))
		v -= parts[i]
	}
	return parts
}

// tileElement computes one element of a product on the tile unit by the definition in tiles.go.
func tileElement(a, b [][3]float32, alpha float32, accumulate bool, c float32) float32 {
	for l := 0; l < len(a); l += TileInner {
		var sum float32
		for x := l; x < min(len(a), l+TileInner); x += 32 {
			for _, term := range [][2]int{{0, 2}, {0, 1}, {1, 1}, {1, 0}, {0, 0}, {2, 0}} {
				var chain [2]float32
				for y := x; y < min(len(a), x+32); y++ {
					half := (y - x) / 16
					chain[half] = added(a[y][term[0]], b[y][term[1]], chain[half])
				}
				sum = added(1, added(1, chain[0], chain[1]), sum)
			}
		}
		if sum *= alpha; accumulate || l > 0 {
			sum += c
		}
		c = sum
	}
	return c
}

// product computes c = alpha a b, or adds it to c.
func (t *Tiles) product(m, n, k int, alpha float32, a, b Matrix, accumulate bool, c []float32, stride int) {
	w := new(Scratch)
	for l := 0; l < k; l += TileInner {
		inner := min(TileInner, k-l)
		left, right := make([]uint16, t.PackedLeft(m, inner)), make([]uint16, t.PackedRight(inner, n, allParts))
		t.PackLeft(left, a.At(0, l), m, inner, w)
		for j := 0; j < n; j += TileSide {
			t.PackRight(right[t.PackedRight(inner, j, allParts):], b.At(l, j), inner, min(TileSide, n-j), w)
		}
		t.Multiply(m, n, inner, alpha, left, right, allParts, accumulate || l > 0, c, stride, w)
	}
}

// splitRows returns the parts of the rows of m, or of its columns if columns is set.
func splitRows(m Matrix, rows, k int, columns bool) [][][3]float32 {
	all := make([][][3]float32, rows)
	for i := range all {
		all[i] = make([][3]float32, k)
		for l := range k {
			v := m.At(i, l)
			if columns {
				v = m.At(l, i)
			}
			all[i][l] = partsOf(v.Data[0])
		}
	}
	return all
}

// TestTiles compares every bit of every element with the definition, for shapes on both sides of every edge, transposed
// factors and strides. Memory between the rows of the destination must not change.
func TestTiles(t *testing.T) {
	s := tilesOrSkip(t)
	shapes := [][3]int{
		{1, 1, 1}, {1, 33, 5}, {16, 16, 32}, {17, 8, 33}, {32, 32, 64}, {33, 47, 31}, {64, 15, 24}, {65, 34, 70},
		{4, 40, TileInner}, {9, 20, TileInner + 1}, {2, 9, 2*TileInner + 50}, {300, 3, 40},
	}
	for _, shape := range shapes {
		for variant := range 8 {
			m, n, k := shape[0], shape[1], shape[2]
			ta, tb, accumulate := variant&1 > 0, variant&2 > 0, variant&4 > 0
			t.Run(fmt.Sprintf("m=%d/n=%d/k=%d/ta=%t/tb=%t/add=%t", m, n, k, ta, tb, accumulate), func(t *testing.T) {
				r := rand.New(rand.NewPCG(uint64(m*n), uint64(k)))
				a, b := stored(r, m, k, ta), stored(r, k, n, tb)
				c, stride, alpha := make([]float32, m*(n+2)), n+2, float32(0.75)
				for i := range c {
					c[i] = float32(r.NormFloat64())
				}
				want := slices.Clone(c)
				rows, columns := splitRows(a, m, k, false), splitRows(b, n, k, true)
				for i := range m {
					for j := range n {
						want[i*stride+j] = tileElement(rows[i], columns[j], alpha, accumulate, c[i*stride+j])
					}
				}
				s.product(m, n, k, alpha, a, b, accumulate, c, stride)
				for i := range c {
					if math.Float32bits(c[i]) != math.Float32bits(want[i]) {
						t.Fatalf("element %d,%d is %v; want %v", i/stride, i%stride, c[i], want[i])
					}
				}
			})
		}
	}
}

// TestTilesPreempted multiplies on several goroutines while garbage collections interrupt their threads and move them
// between processors. A tile whose contents got lost would change the result.
func TestTilesPreempted(t *testing.T) {
	s := tilesOrSkip(t)
	const m, n, k = 256, 64, TileInner
	r := rand.New(rand.NewPCG(1, 2))
	a, b := stored(r, m, k, false), stored(r, k, n, true)
	want := make([]float32, m*n)
	s.product(m, n, k, 1, a, b, false, want, n)
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() {
			for range 40 {
				got := make([]float32, m*n)
				s.product(m, n, k, 1, a, b, false, got, n)
				if !slices.Equal(got, want) {
					t.Error("a product differs from the one that nothing interrupted")
					return
				}
			}
		})
	}
	done := make(chan struct{})
	go func() {
		running.Wait()
		close(done)
	}()
	for {
		select {
		case <-done:
			return
		default:
			runtime.GC()
		}
	}
}

// BenchmarkTiles multiplies two square matrices on one goroutine, with and without the time to pack them.
func BenchmarkTiles(b *testing.B) {
	s := tilesOrSkip(b)
	for _, packed := range []bool{false, true} {
		for _, size := range []int{64, 768} {
			b.Run(fmt.Sprintf("n=%d/packed=%t", size, packed), func(b *testing.B) {
				r := rand.New(rand.NewPCG(1, 2))
				x, y := stored(r, size, size, false), stored(r, size, size, true)
				c, w := make([]float32, size*size), new(Scratch)
				inner := min(size, TileInner)
				left := make([]uint16, s.PackedLeft(size, inner))
				right := make([]uint16, s.PackedRight(inner, size, allParts))
				for b.Loop() {
					for l := 0; l < size; l += inner {
						if !packed {
							s.PackLeft(left, x.At(0, l), size, inner, w)
							for j := 0; j < size; j += TileSide {
								part := right[s.PackedRight(inner, j, allParts):]
								s.PackRight(part, y.At(l, j), inner, min(TileSide, size-j), w)
							}
						}
						s.Multiply(size, size, inner, 1, left, right, allParts, l > 0, c, size, w)
					}
				}
				b.ReportMetric(2*float64(size*size*size)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
			})
		}
	}
}
