//go:build cuda && cgo && linux && amd64

package gpu

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/lor2c/lor2c/internal/compute"
)

// TestSkinnyRows: a row of a product with few rows has the same bits with 1 to 16 rows, each of which uses the kernel
// for its number of rows.
func TestSkinnyRows(t *testing.T) {
	ops := map[int]string{1: "matmul_skinny1", 2: "matmul_skinny2", 3: "matmul_skinny4", 4: "matmul_skinny4"}
	for _, p := range precisions {
		driver := fake(t)
		d := openCard(t, Options{Narrow: p.narrow})
		defer d.Close()
		for _, k := range []int{264, 77} {
			rng := rand.New(rand.NewPCG(3, 4))
			const n = 19
			x, w := d.random(rng, 1, compute.Working, 16, k), d.random(rng, 1, compute.Working, n, k)
			bias, dst := d.random(rng, 1, compute.Working, n), d.Alloc(compute.Shape{16, n}, compute.Working)
			var alone []float32
			for i := range 16 {
				d.Linear(dst.View(i, i+1), compute.Tensor{}, x.View(i, i+1), w, bias, compute.SiLU)
				alone = append(alone, d.values(dst.View(i, i+1))...)
			}
			for rows := 1; rows <= 16; rows++ {
				kernel := d.typed(cmp.Or(ops[rows], "matmul_skinny"), compute.Working)
				before := driver.Calls("kernel:" + kernel)
				d.Fill(dst, 0)
				d.Linear(dst.View(0, rows), compute.Tensor{}, x.View(0, rows), w, bias, compute.SiLU)
				if got := d.values(dst.View(0, rows)); !slices.Equal(got, alone[:rows*n]) {
					t.Errorf("%s, k %d: with %d rows some differ from those of products of one row", p.name, k, rows)
				}
				if driver.Calls("kernel:"+kernel) == before {
					t.Errorf("%s: a product with %d rows does not use %s", p.name, rows, kernel)
				}
			}
		}
	}
}

// TestCachedRows: a row of attention over the blocks of a table has the same bits in a long prompt, as the only new
// token, and beside other sequences, wherever the blocks are.
func TestCachedRows(t *testing.T) {
	const heads, kvHeads, keys, blocks = 4, 2, 150, 9
	for _, p := range precisions {
		for _, dim := range []int{10, 64} {
			t.Run(fmt.Sprintf("dtype=%s/dim=%d", p.name, dim), func(t *testing.T) {
				d := openCard(t, Options{Narrow: p.narrow})
				defer d.Close()
				rng := rand.New(rand.NewPCG(5, 6))
				q := d.random(rng, 3, compute.Working, keys, heads*dim)
				k := d.random(rng, 1, compute.Working, keys, kvHeads*dim)
				v := d.random(rng, 1, compute.Working, keys, kvHeads*dim)
				pool := func() compute.Tensor {
					return d.random(rng, 1, compute.Working, blocks*compute.BlockRows, kvHeads*dim)
				}
				ints := func(shape compute.Shape, values ...int32) compute.Tensor {
					x := d.Alloc(shape, compute.Int)
					d.UploadInts(x, values)
					return x
				}
				// attend returns the last rows of the sequence, behind `before` sequences of one query and 70 keys each.
				attend := func(table []int32, rows, before int) []float32 {
					kp, vp := pool(), pool()
					var at, whole []int32
					for i := range keys {
						at = append(at, table[i/compute.BlockRows]*compute.BlockRows+int32(i%compute.BlockRows))
					}
					idx := ints(compute.Shape{keys}, at...)
					d.Put(kp, idx, k)
					d.Put(vp, idx, v)
					cuQ, cuK := []int32{0}, []int32{0}
					for i := range before {
						cuQ, cuK, whole = append(cuQ, int32(i+1)), append(cuK, int32(70*(i+1))), append(whole, 7, 8, 0)
					}
					cuQ, cuK, whole = append(cuQ, int32(before+rows)), append(cuK, int32(70*before+keys)), append(whole, table...)
					all := d.random(rng, 1, compute.Working, before+rows, heads*dim)
					d.Copy(all.View(before, before+rows), q.View(keys-rows, keys))
					y, lse := d.Alloc(all.Shape, compute.Working), d.Alloc(compute.Shape{before + rows, heads}, compute.Exact)
					d.Attention(y, lse, all, kp, vp, compute.AttnOpts{
						Heads: heads, KVHeads: kvHeads, HeadDim: dim, Causal: true, Scale: 0.3,
						CuQ: ints(compute.Shape{len(cuQ)}, cuQ...), CuK: ints(compute.Shape{len(cuK)}, cuK...), MaxQ: rows, MaxK: keys,
						Table: ints(compute.Shape{before + 1, 3}, whole...),
					})
					return d.values(y.View(before, before+rows))
				}
				want := attend([]int32{0, 1, 2}, keys, 0)
				for _, c := range []struct {
					table        []int32
					rows, before int
				}{{[]int32{5, 0, 3}, keys, 0}, {[]int32{2, 6, 1}, 1, 0}, {[]int32{4, 3, 0}, 1, 3}, {[]int32{1, 0, 6}, 21, 2}} {
					got := attend(c.table, c.rows, c.before)
					if !slices.Equal(got, want[len(want)-len(got):]) {
						t.Errorf("the last %d rows, with blocks %v and %d sequences before, differ", c.rows, c.table, c.before)
					}
				}
				if err := d.Sync(); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
}
