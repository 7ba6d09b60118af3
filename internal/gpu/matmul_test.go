//go:build cuda && cgo && linux && amd64

package gpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/lor2c/lor2c/internal/compute"
)

// product is a case of TestProducts.
type product struct {
	m, n, k             int
	tile, parts, offset int
	ta, tb, add, full   bool
}

// TestProducts runs every kernel that works on tiles, also on sizes for which planMatmul would choose another, with
// and without dividing the terms into parts. Factors are small integers, so that sums are exact in any order and each
// result has one right value. The sizes are the smallest that have two tiles in each direction, the second
// incomplete, and three parts.
func TestProducts(t *testing.T) {
	for _, p := range precisions {
		d := openCard(t, Options{Narrow: p.narrow})
		defer d.Close()
		for _, size := range [][3]int{{136, 136, 72}, {131, 70, 69}} {
			for flags := range 64 {
				c := product{
					m: size[0], n: size[1], k: size[2], tile: largeTile, parts: 1,
					ta: flags&1 != 0, tb: flags&2 != 0, add: flags&4 != 0, full: flags&8 != 0, offset: flags >> 4 & 1,
				}
				if flags&32 != 0 {
					c.tile = smallTile
				}
				if p.narrow && c.ta && c.tb && c.tile == largeTile {
					continue // there is no kernel for this case
				}
				// Accumulation alternates, because half of the cases are enough.
				if c.add != c.full {
					c.parts = 3
				}
				t.Run(fmt.Sprintf("dtype=%s/m=%d/n=%d/k=%d/tile=%d/parts=%d/ta=%t/tb=%t/accumulate=%t/full=%t/offset=%d",
					p.name, c.m, c.n, c.k, c.tile, c.parts, c.ta, c.tb, c.add, c.full, c.offset), func(t *testing.T) { c.check(t, d) })
			}
		}
	}
}

// integers returns a tensor of integers from -limit to limit that begins some elements after the start of its buffer,
// and its values.
func integers(d *Device, rng *rand.Rand, t compute.DType, limit, offset int, shape ...int) (compute.Tensor, []float32) {
	n := compute.Shape(shape).Len()
	whole := d.Temp(compute.Shape{n + offset}, t)
	x := make([]float32, n+offset)
	for i := range x {
		x[i] = float32(rng.IntN(2*limit+1) - limit)
	}
	d.Upload(whole, x)
	return whole.Slice(offset, shape), x[offset:]
}

func (c product) check(t *testing.T, d *Device) {
	d.Reset()
	rng := rand.New(rand.NewPCG(1, 2))
	shape := func(transposed bool, rows, cols int) []int {
		if transposed {
			return []int{cols, rows}
		}
		return []int{rows, cols}
	}
	a, x := integers(d, rng, compute.Working, 2, c.offset, shape(c.ta, c.m, c.k)...)
	b, y := integers(d, rng, compute.Working, 2, c.offset, shape(c.tb, c.k, c.n)...)
	kind := compute.Working
	if c.full {
		kind = compute.Exact
	}
	dst, start := integers(d, rng, kind, 100, c.offset, c.m, c.n)
	out := outputArgs{dst: d.at(dst), alpha: -0.5, accumulate: boolArg(c.add), full: boolArg(d.Bytes(kind) == 4)}
	var pre compute.Tensor
	var shift []float32
	if !c.add && !c.full {
		var bias compute.Tensor
		bias, shift = integers(d, rng, compute.Working, 20, c.offset, c.n)
		pre, _ = integers(d, rng, compute.Working, 1, c.offset, c.m, c.n)
		out.pre, out.bias, out.act = d.at(pre), d.at(bias), int32(compute.ReLU)
	}
	p := matmulPlan{m: class(c.m), n: class(c.n), k: class(c.k), tile: c.tile, parts: c.parts}
	p.chunk = ceil(ceil(p.k, c.parts), matmulDepth) * matmulDepth
	d.tiled(
		p, compute.Working,
		matmulArgs{a: d.at(a), b: d.at(b), dims: d.counts(c.m, c.n, c.k), out: out, ta: boolArg(c.ta), tb: boolArg(c.tb)},
		c.m*c.n,
	)

	got, before := download(d, dst), []float32(nil)
	if shift != nil {
		before = download(d, pre)
	}
	for i := range c.m {
		for j := range c.n {
			sum := float32(0)
			for l := range c.k {
				sum += x[at(c.ta, i, l, c.m, c.k)] * y[at(c.tb, l, j, c.k, c.n)]
			}
			sum *= -0.5
			if c.add {
				sum += start[i*c.n+j]
			}
			if shift != nil {
				sum += shift[j]
				if want := rounded(d, compute.Working, sum); before[i*c.n+j] != want {
					t.Fatalf("pre[%d,%d] = %v, want %v", i, j, before[i*c.n+j], want)
				}
				sum = max(sum, 0)
			}
			if want := rounded(d, kind, sum); got[i*c.n+j] != want {
				t.Fatalf("dst[%d,%d] = %v, want %v", i, j, got[i*c.n+j], want)
			}
		}
	}
}

// at returns the index of element (i, j) of op(x) [rows,cols].
func at(transposed bool, i, j, rows, cols int) int {
	if transposed {
		return j*rows + i
	}
	return i*cols + j
}

// rounded returns x as a tensor of type t stores it.
func rounded(d *Device, t compute.DType, x float32) float32 {
	if d.Bytes(t) == 2 {
		return math.Float32frombits(uint32(toBfloat16(x)) << 16)
	}
	return x
}

// TestSlopeJoinsProduct checks that the gradient of an activation is fused with the product before it if it follows
// at once and covers the whole result, that it is launched separately otherwise, and that the bytes of the result are
// those of two launches.
func TestSlopeJoinsProduct(t *testing.T) {
	type gradients struct {
		name    string
		n, k, m int
		tb      bool
	}
	for _, p := range precisions {
		d := openCard(t, Options{Narrow: p.narrow})
		defer d.Close()
		for i, c := range []gradients{
			{"tiles", 40, 24, 72, false}, {"parts", 8, 3000, 40, false}, {"skinny", 33, 40, 3, true},
		} {
			act := []compute.Act{compute.GELU, compute.GELUTanh, compute.Tanh}[i]
			t.Run(fmt.Sprintf("dtype=%s/product=%s", p.name, c.name), func(t *testing.T) {
				d.Reset()
				rng := rand.New(rand.NewPCG(1, 2))
				normal := func(shape ...int) compute.Tensor {
					x := d.Temp(shape, compute.Working)
					values := make([]float32, x.Shape.Len())
					for i := range values {
						values[i] = float32(rng.NormFloat64())
					}
					d.Upload(x, values)
					return x
				}
				dy, pre, dx := normal(c.n, c.k), normal(c.n, c.m), normal(c.n, c.m)
				w := normal(c.k, c.m)
				if c.tb {
					w = normal(c.m, c.k)
				}
				gradient := func(between func()) (launched int, bits []float32) {
					d.Fill(dx, 1)
					d.submit()
					d.Gemm(dx, 0.1, dy, false, w, c.tb, true)
					between()
					d.ActGrad(act, dx, pre, dx)
					launched = len(d.queue.launches)
					return launched, download(d, dx)
				}
				joined, got := gradient(func() {})
				other := normal(1)
				apart, want := gradient(func() { d.Fill(other, 0) })
				part, _ := gradient(func() { d.ActGrad(act, dx.View(0, 1), pre.View(0, 1), dx.View(0, 1)) })
				if apart != joined+2 || part != joined+2 {
					t.Errorf("launched %d, with a launch between %d, with a part first %d; want two more in both", joined, apart, part)
				}
				for i := range want {
					if got[i] != want[i] {
						t.Fatalf("element %d is %v; with two launches it is %v", i, got[i], want[i])
					}
				}
			})
		}
	}
}
