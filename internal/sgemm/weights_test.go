package sgemm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/lor2c/lor2c/internal/nf4"
)

var storages = map[string]Storage{"float32": Float32, "bfloat16": BFloat16, "float16": Float16}

// TestHalves converts every pattern of two bytes to float32 and back, with and without vector instructions.
func TestHalves(t *testing.T) {
	for name, f := range storages {
		if f == Float32 {
			continue
		}
		values := make([]float32, 1<<16)
		for _, s := range append([]*Kernels{nil}, all()...) {
			w := NewWeights(s, 1, 1<<16, f)
			for i := range w.half {
				w.half[i] = uint16(i)
			}
			w.get(values, 0)
			w.Set(values, 0, 1)
			for i, h := range w.half {
				v := f.wide(uint16(i))
				if values[i] != v && (v == v || values[i] == values[i]) {
					t.Fatalf("%s %#x is %v in vector instructions; want %v", name, i, values[i], v)
				}
				if h != uint16(i) && v == v {
					t.Fatalf("%s %#x is %v, and %#x again", name, i, v, h)
				}
				if back := f.wide(h); v != v && back == back {
					t.Fatalf("%s %#x is NaN, and %v again", name, i, back)
				}
			}
		}
	}
}

// TestRounding checks that two bytes hold the nearest number, with ties to even.
func TestRounding(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for name, f := range storages {
		if f == Float32 {
			continue
		}
		for i := range 1 << 16 {
			low, high := f.wide(uint16(i)), f.wide(uint16(i)+1)
			if i&0x7fff == 0x7fff || low-low != 0 || high-high != 0 {
				continue // the next pattern is not the next number, or not finite
			}
			middle := low + (high-low)/2
			even := low
			if i&1 == 1 {
				even = high
			}
			away := float32(math.Inf(1))
			if low < 0 || i >= 0x8000 {
				away = -away
			}
			for v, want := range map[float32]float32{
				low: low, middle: even, math.Nextafter32(middle, low): low, math.Nextafter32(middle, away): high,
				low + (high-low)*0.49*r.Float32(): low,
			} {
				w := NewWeights(nil, 1, 1, f)
				w.Set([]float32{v}, 0, 1)
				if f.Exact([]float32{low, v}) != (v == want) {
					t.Fatalf("%s: Exact says that %v is %v", name, v, f.Exact([]float32{v}))
				}
				if got := f.wide(w.half[0]); got != want {
					t.Fatalf("%s: %v between %v and %v is rounded to %v; want %v", name, v, low, high, got, want)
				}
			}
		}
	}
}

// TestDequantize compares every bit of dequantised parts with package nf4, from all places of a block on and with
// lengths on both sides of whole blocks.
func TestDequantize(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	values := make([]float32, 5*nf4.Block+9)
	for i := range values {
		values[i] = float32(r.NormFloat64())
	}
	q := nf4.Quantize(values, []int{1, len(values)}, false)
	for _, s := range append([]*Kernels{nil}, all()...) {
		w := NewFourBit(s, 1, len(values))
		w.SetFourBit(q.Codes, q.Scales)
		for at := range len(values) {
			for _, n := range []int{0, 1, 63, 64, 65, 130, len(values)} {
				n = min(n, len(values)-at)
				got, want := make([]float32, n), make([]float32, n)
				w.Dequantize(got, at)
				nf4.Dequantize(want, q.Codes, q.Scales, at)
				if !slices.Equal(got, want) {
					t.Fatalf("%d lanes: elements %d to %d are %v; want %v", w.panel, at, at+n, got, want)
				}
			}
		}
	}
}

// TestWeights compares every bit of products with weights with products of the same matrix, for shapes on both sides of
// every edge, few and many rows, both orders, all ways of storing and both instruction sets.
func TestWeights(t *testing.T) {
	if len(all()) == 0 {
		t.Skip("this processor has no kernels")
	}
	for _, s := range all() {
		for name, f := range storages {
			for _, shape := range [][2]int{{1, 1}, {7, 5}, {16, 8}, {31, 40}, {32, 33}, {70, 9}, {96, Inner + 5}, {40, 64},
				{Inner + 40, 50}, {9*32 + 20, 12}} {
				for _, m := range []int{1, 2, 3, 4, 5, 6, 9, 14, 20, 30} {
					for _, trans := range []bool{true, false} {
						t.Run(fmt.Sprintf("isa=%s/%s/%dx%d/m=%d/trans=%t", s.Name(), name, shape[0], shape[1], m, trans),
							func(t *testing.T) {
								testWeights(t, s, f, shape[0], shape[1], m, trans)
							})
					}
				}
			}
		}
	}
}

// TestTogether: weights of every kind of storage but four bits have kernels for several panels and few rows, as many as
// the registers of the instruction set have room for.
func TestTogether(t *testing.T) {
	want := map[*Kernels][]int{}
	for _, s := range all() {
		registers := 16
		if s.lanes == 16 {
			registers = 32
		}
		for m := range 8 {
			// The sums of a panel take two registers a row. One row of each factor needs a register too.
			want[s] = append(want[s], max(1, min(4, (registers-m-1)/max(1, 2*m))))
		}
		want[s][0] = 1
	}
	for s, most := range want {
		for m, together := range most {
			for name, f := range storages {
				if got := NewWeights(s, 64, 8, f).Together(m); got != together {
					t.Errorf("%s: %s: kernels for %d rows read %d panels; want %d", s.Name(), name, m, got, together)
				}
			}
			if got := NewFourBit(s, 64, 8).Together(m); got != 1 {
				t.Errorf("%s: kernels for %d rows read %d panels in four bits; want 1", s.Name(), m, got)
			}
		}
	}
}

func testWeights(t *testing.T, s *Kernels, f Storage, rows, cols, m int, trans bool) {
	r := rand.New(rand.NewPCG(uint64(rows*cols), uint64(m)))
	w, values := NewWeights(s, rows, cols, f), make([]float32, rows*cols)
	for i := range values {
		values[i] = float32(r.NormFloat64())
	}
	for i := 0; i < rows; i += SetRows {
		w.Set(values, i, min(rows, i+SetRows))
	}
	for i := range rows {
		if i%3 == 0 {
			w.Row(values[i*cols+1:(i+1)*cols], i, 1)
		}
		w.Row(values[i*cols:(i+1)*cols], i, 0)
	}
	k, n := rows, cols
	if trans {
		k, n = cols, rows
	}
	a := stored(r, m, k, false)
	want := make([]float32, m*n)
	scratch := new(Scratch)
	s.Product(m, n, k, 0.75, a, Matrix{values, cols, trans}, false, want, n, scratch)
	for _, panels := range []int{1, 3, 10} {
		got := make([]float32, m*n)
		for l := 0; l < k; l += Inner {
			inner := min(Inner, k-l)
			left := make([]float32, m*inner)
			s.PackLeft(left, a.At(0, l), m, inner)
			for j := 0; j < n; j += panels * s.Width() {
				w.Multiply(m, min(panels*s.Width(), n-j), inner, 0.75, left, trans, l, j, l > 0, got[j:], n, scratch)
			}
		}
		for i := range want {
			if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
				t.Fatalf("%d panels at a time: element %d,%d is %v; want %v", panels, i/n, i%n, got[i], want[i])
			}
		}
	}
	plain := NewWeights(nil, rows, cols, f)
	plain.Set(values, 0, rows)
	part := plain.Matrix(new([]float32), trans, k/2, k-k/2, n/3, n-n/3)
	for i := range k - k/2 {
		for j := range n - n/3 {
			if got, want := part.get(i, j), (Matrix{values, cols, trans}).get(i+k/2, j+n/3); got != want {
				t.Fatalf("element %d,%d of a part is %v; want %v", i, j, got, want)
			}
		}
	}
}
