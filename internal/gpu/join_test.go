//go:build cuda && cgo && linux && amd64

package gpu

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/lor2c/lor2c/internal/compute"
)

// TestSumsOfProducts runs the kernels of tiles in bfloat16 with a sum of three products, with and without parts that
// begin within a product, and the kernels of both precisions with three products of their own. Factors are small
// integers, so each result has one right value. K is no multiple of a slice.
func TestSumsOfProducts(t *testing.T) {
	const m, n, k = 136, 136, 72
	for _, p := range precisions {
		d := openCard(t, Options{Narrow: p.narrow})
		defer d.Close()
		for _, tile := range []int{largeTile, smallTile} {
			for _, way := range []string{"nn", "nt", "tn"} {
				for _, parts := range []int{0, 1, 2} { // 0 for products of their own
					if !p.narrow && parts > 0 {
						continue // there is no kernel for this case
					}
					t.Run(fmt.Sprintf("dtype=%s/tile=%d/%s/parts=%d", p.name, tile, way, parts), func(t *testing.T) {
						d.Reset()
						sumsOfProducts(t, d, m, n, k, tile, parts, way[0] == 't', way[1] == 't')
					})
				}
			}
		}
	}
}

// sumsOfProducts checks three products, or their sum if parts is not 0.
func sumsOfProducts(t *testing.T, d *Device, m, n, k, tile, parts int, ta, tb bool) {
	rng := rand.New(rand.NewPCG(1, 2))
	plan := matmulPlan{m: class(m), n: class(n), k: class(k), tile: tile, parts: max(1, parts)}
	var args matmulArgs
	var dst [3]compute.Tensor
	var want [3][]float32
	for i := range 3 {
		a, x := integers(d, rng, compute.Working, 1, 0, m, k)
		b, y := integers(d, rng, compute.Working, 1, 0, k, n)
		bias, shift := integers(d, rng, compute.Working, 20, 0, n)
		dst[i] = d.Temp(compute.Shape{m, n}, compute.Working)
		want[i] = make([]float32, m*n)
		for r := range m {
			for c := range n {
				for l := range k {
					want[i][r*n+c] += x[at(ta, r, l, m, k)] * y[at(tb, l, c, k, n)]
				}
				if parts == 0 {
					want[i][r*n+c] += shift[c]
				} else if i > 0 {
					want[0][r*n+c] += want[i][r*n+c]
				}
			}
		}
		if i == 0 {
			args = matmulArgs{
				a: d.at(a), b: d.at(b), ta: boolArg(ta), tb: boolArg(tb), more: 2,
				out: outputArgs{dst: d.at(dst[0]), bias: d.at(bias), alpha: 1, full: boolArg(!d.narrow)},
			}
			continue
		}
		args.joined[i-1] = joinedArgs{d.at(a), d.at(b), d.at(dst[i]), d.at(bias)}
	}
	args.dims = d.counts(m, n, k) // after the uploads, which end a list and its slots
	if parts > 0 {
		args.chained, args.out.bias = 1, 0
		plan.k = 3 * ceil(k, matmulDepth) * matmulDepth
	}
	plan.chunk = ceil(ceil(plan.k, plan.parts), matmulDepth) * matmulDepth
	d.tiled(plan, compute.Working, args, m*n)
	for i := range dst {
		if parts > 0 && i > 0 {
			break
		}
		for j, got := range download(d, dst[i]) {
			if got != want[i][j] {
				t.Fatalf("element %d of product %d is %v, want %v", j, i, got, want[i][j])
			}
		}
	}
}

// TestProductsJoin checks which products are computed in one launch, and that results do not depend on it.
func TestProductsJoin(t *testing.T) {
	const n = 40
	for _, p := range precisions {
		d := openCard(t, Options{Narrow: p.narrow})
		defer d.Close()
		sum := 3 // launches of a sum of three products
		if p.narrow {
			sum = 1
		}
		none := compute.Tensor{}
		linear := func(y, x, w, bias compute.Tensor) { d.Linear(y, none, x, w, bias, compute.Identity) }
		type tensors []compute.Tensor
		for _, c := range []struct {
			name     string
			sizes    [][2]int
			run      func(x tensors)
			results  []int
			launches int
		}{
			{
				"three layers of one input", [][2]int{{n, 48}, {n, 64}, {n, 64}, {n, 64}, {64, 48}, {64, 48}, {64, 48}, {1, 64}},
				func(x tensors) {
					linear(x[1], x[0], x[4], x[7].Slice(0, compute.Shape{64}))
					linear(x[2], x[0], x[5], none)
					linear(x[3], x[0], x[6], x[7].Slice(0, compute.Shape{64}))
				}, []int{1, 2, 3}, 1,
			},
			{
				"four layers", [][2]int{{n, 48}, {n, 64}, {n, 64}, {n, 64}, {n, 64}, {64, 48}},
				func(x tensors) {
					for _, y := range x[1:5] {
						linear(y, x[0], x[5], none)
					}
				}, []int{1, 2, 3, 4}, 2,
			},
			{
				"gradients that add to one input", [][2]int{{n, 48}, {n, 64}, {n, 64}, {n, 64}, {64, 48}, {64, 48}, {64, 48}},
				func(x tensors) {
					for i := range 3 {
						d.Gemm(x[0], 1, x[1+i], false, x[4+i], false, i > 0)
					}
				}, []int{0}, sum,
			},
			{
				"a product of the result", [][2]int{{n, 48}, {n, 48}, {n, 48}, {48, 48}, {48, 48}},
				func(x tensors) {
					linear(x[1], x[0], x[3], none)
					linear(x[2], x[1], x[4], none)
				}, []int{1, 2}, 2,
			},
			{
				"a result in place of a factor", [][2]int{{n, 48}, {n, 48}, {n, 48}, {48, 48}, {48, 48}},
				func(x tensors) {
					linear(x[1], x[0], x[3], none)
					linear(x[0], x[2], x[4], none)
				}, []int{0, 1}, 2,
			},
			{
				"one result twice", [][2]int{{n, 48}, {n, 48}, {n, 48}, {48, 48}, {48, 48}},
				func(x tensors) {
					linear(x[1], x[0], x[3], none)
					linear(x[1], x[2], x[4], none)
				}, []int{1}, 2,
			},
			{
				"other sizes", [][2]int{{n, 48}, {n, 48}, {n, 56}, {48, 48}, {56, 48}},
				func(x tensors) {
					linear(x[1], x[0], x[3], none)
					linear(x[2], x[0], x[4], none)
				}, []int{1, 2}, 2,
			},
			{
				"an activation", [][2]int{{n, 48}, {n, 48}, {n, 48}, {48, 48}, {48, 48}},
				func(x tensors) {
					linear(x[1], x[0], x[3], none)
					d.Linear(x[2], none, x[0], x[4], none, compute.ReLU)
				}, []int{1, 2}, 2,
			},
			{
				"a result that is not aligned", [][2]int{{n, 48}, {n, 48}, {n + 1, 48}, {48, 48}, {48, 48}},
				func(x tensors) {
					linear(x[1], x[0], x[3], none)
					linear(x[2].Slice(1, compute.Shape{n, 48}), x[0], x[4], none)
				}, []int{1, 2}, 2,
			},
			{
				"an op in between", [][2]int{{n, 48}, {n, 48}, {n, 48}, {48, 48}, {48, 48}},
				func(x tensors) {
					linear(x[1], x[0], x[3], none)
					d.Fill(x[0], 1)
					linear(x[2], x[0], x[4], none)
				}, []int{1, 2}, 3,
			},
		} {
			t.Run("dtype="+p.name+"/"+c.name, func(t *testing.T) {
				var values [2][][]float32
				for i, eager := range []bool{true, false} {
					d.Reset()
					rng := rand.New(rand.NewPCG(1, 2))
					d.eager = eager // submits each launch, so nothing can be joined
					var x tensors
					for _, size := range c.sizes {
						values, _ := integers(d, rng, compute.Working, 1, 0, size[0], size[1])
						x = append(x, values)
					}
					c.run(x)
					if got := len(d.queue.names); !eager && got != c.launches {
						t.Errorf("launched %v; want %d launches", d.queue.names, c.launches)
					}
					d.eager = false
					for _, y := range c.results {
						values[i] = append(values[i], download(d, x[y]))
					}
				}
				for i := range values[0] {
					if !slices.Equal(values[0][i], values[1][i]) {
						t.Errorf("result %d depends on what is joined", i)
					}
				}
			})
		}
	}
}
