package cpu

import (
	"math"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/compute/computetest"
)

func TestConformance(t *testing.T) {
	t.Run("dtype=float32", func(t *testing.T) {
		open := func(*testing.T) compute.Device { return Open[float32](3) }
		computetest.Run(t, open, computetest.Config{Eps: 1.0 / (1 << 24)})
	})
	t.Run("dtype=float32/products=tiles", func(t *testing.T) {
		if testing.Short() {
			t.Skip("-short is for -race, which does not see into assembly")
		}
		open := func(t *testing.T) compute.Device { return openTiles(t, 3) }
		computetest.Run(t, open, computetest.Config{Eps: 1.0 / (1 << 24),
			Ops: []string{"Gemm", "Linear", "AllocFrozen", "UploadNF4"}}) // all other ops are as before
	})
	t.Run("dtype=float64", func(t *testing.T) {
		if testing.Short() {
			t.Skip("float32 uses the same code; -short is for -race")
		}
		open := func(*testing.T) compute.Device { return Open[float64](3) }
		computetest.Run(t, open, computetest.Config{Eps: 1.0 / (1 << 53)})
	})
}

func init() { leastTiled = 64 }

// openTiles opens a device whose linear layers run on the tile unit.
func openTiles(t testing.TB, workers int) *Device[float32] {
	d := Open[float32](workers)
	if !d.UseTiles() {
		t.Skip("this processor has no tile unit with bfloat16, or the system or the build does not use it")
	}
	return d
}

func TestName(t *testing.T) {
	if got, want := Open[float32](2).Name(), "cpu float32, 2 workers, "+BLAS(); got != want {
		t.Errorf("Name() = %q, want %q", got, want)
	}
	if got, want := openTiles(t, 2).Name(), "cpu float32, 2 workers, AMX"; got != want {
		t.Errorf("Name() = %q, want %q", got, want)
	}
}

func TestNameFloat64(t *testing.T) {
	if got := Open[float64](0).Name(); !strings.HasPrefix(got, "cpu float64, ") || strings.Contains(got, " 0 workers") {
		t.Errorf("Name() = %q", got)
	}
}

// step runs every method that contains a sum, on sizes of several chunks, and returns all results.
func step[T Float](d *Device[T]) [][]T {
	const n, c, r, heads = 700, 96, 8, 4
	var all [][]T
	seed := uint64(0)
	random := func(shape ...int) compute.Tensor {
		t := d.Alloc(shape, compute.Working)
		x := make([]float32, t.Shape.Len())
		seed++
		compute.Normal(x, seed, "step", 1)
		d.Upload(t, x)
		all = append(all, Data[T](t))
		return t
	}
	ints := func(x ...int32) compute.Tensor {
		t := d.Alloc(compute.Shape{len(x)}, compute.Int)
		d.UploadInts(t, x)
		return t
	}
	drop := compute.Dropout{P: 0.1, Key: 3, Step: 1, Site: 2}
	x, y, dx, w := random(n, c), random(n, c), random(n, c), random(c, c)
	d.Linear(y, dx, x, w, random(c), compute.GELU)
	d.Gemm(w, 0.5, y, true, x, false, true)
	d.SumRows(random(c), y)
	a, b, u := random(r, c), random(c, r), random(n, r)
	d.LowRankDown(u, x, a, drop)
	d.LowRankUp(y, u, b, 1.5)
	du := random(n, r)
	d.LowRankUpGrad(du, random(c, r), u, b, y, 1.5)
	d.LowRankDownGrad(dx, random(r, c), x, a, du, drop, true)
	sum, stats := random(n, c), random(n, 2)
	d.LayerNorm(compute.LayerNormArgs{
		Dst: y, Sum: sum, Stats: stats, X: x, Residual: dx, Gamma: random(c), Beta: random(c), Eps: 1e-5, Drop: drop,
	})
	d.LayerNormGrad(compute.LayerNormGradArgs{
		DX: dx, DResidual: y, DGamma: random(c), DBeta: random(c), Sum: sum, Gamma: random(c), Stats: stats, DY: x,
		Drop: drop,
	})
	cu := ints(0, 300, 310, n)
	o := compute.AttnOpts{
		Heads: heads, KVHeads: heads / 2, HeadDim: c / heads, CuQ: cu, CuK: cu, MaxQ: 390, MaxK: 390,
		Causal: true, Scale: 0.3, Dropout: drop,
	}
	k, v, lse := random(n, c/2), random(n, c/2), random(n, heads)
	d.Attention(y, lse, x, k, v, o)
	d.AttentionGrad(compute.AttentionGradArgs{
		DQ: dx, DK: random(n, c/2), DV: random(n, c/2), Q: x, K: k, V: v, Y: y, LSE: lse, DY: sum, AttnOpts: o,
	})
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(i * 7 % 50)
	}
	id := ints(ids...)
	d.EmbedGrad(random(50, c), random(50, c), compute.Tensor{}, id, id, id, dx)
	d.Scatter(random(50, c), id, dx)
	loss := random(1)
	d.CrossEntropy(
		loss, random(n, c), y, id, 0.1, compute.CrossEntropyOpts{Rows: random(n), Classes: random(c), Smoothing: 0.1},
	)
	p, g, state := random(100, 500), random(100, 500), random(compute.StateLen)
	d.Fill(state, 0)
	d.GradNorm(state, g, loss, 0.5)
	d.AdamW(
		p, random(100, 500), random(100, 500), d.Alloc(compute.Shape{100, 500}, compute.Working), g, state,
		compute.AdamWOpts{LR: 0.1, Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, Step: 1},
	)
	d.Dropout(x, x, drop)
	d.Act(compute.GELUTanh, y, x)
	return all
}

// TestWorkers checks that the number of workers does not change a bit of any result.
func TestWorkers(t *testing.T) {
	t.Run("dtype=float32", func(t *testing.T) { testWorkers(t, Open[float32], math.Float32bits) })
	t.Run("dtype=float64", func(t *testing.T) { testWorkers(t, Open[float64], math.Float64bits) })
	t.Run("dtype=float32/products=gonum", func(t *testing.T) {
		own := vectors
		vectors = nil
		defer func() { vectors = own }()
		testWorkers(t, Open[float32], math.Float32bits)
	})
	t.Run("dtype=float32/products=tiles", func(t *testing.T) {
		testWorkers(t, func(workers int) *Device[float32] { return openTiles(t, workers) }, math.Float32bits)
	})
}

// TestRowsAlone checks that the output of a linear layer for a row does not depend on the rows that are computed with
// it.
func TestRowsAlone(t *testing.T) {
	t.Run("products=vectors", func(t *testing.T) {
		if vectors == nil {
			t.Skip("only package sgemm guarantees this")
		}
		testRowsAlone(t, Open[float32](3))
	})
	t.Run("products=tiles", func(t *testing.T) { testRowsAlone(t, openTiles(t, 3)) })
}

func testRowsAlone(t *testing.T, d *Device[float32]) {
	const rows, k, m = 100, 500, 70
	random := func(seed uint64, shape ...int) compute.Tensor {
		x := d.Alloc(shape, compute.Working)
		compute.Normal(Data[float32](x), seed, "rows", 1)
		return x
	}
	x, w, bias, y := random(1, rows, k), random(2, m, k), random(3, m), random(4, rows, m)
	d.Linear(y, compute.Tensor{}, x, w, bias, compute.GELU)
	for _, part := range [][2]int{{0, 1}, {99, 100}, {3, 8}, {0, 42}, {57, 100}, {1, 44}} {
		got := random(5, part[1]-part[0], m)
		d.Linear(got, compute.Tensor{}, x.View(part[0], part[1]), w, bias, compute.GELU)
		want := Data[float32](y.View(part[0], part[1]))
		for i, v := range Data[float32](got) {
			if math.Float32bits(v) != math.Float32bits(want[i]) {
				t.Errorf("rows %d to %d: element %d is %v alone, %v among all", part[0], part[1], i, v, want[i])
				break
			}
		}
	}
}

// TestFrozen compares every bit of products with frozen weights, of few and of many rows and divided in every way, with
// those of ordinary tensors.
func TestFrozen(t *testing.T) {
	if vectors == nil {
		t.Skip("only package sgemm guarantees this")
	}
	for _, workers := range []int{1, 3} {
		d := Open[float32](workers)
		random := func(seed uint64, shape ...int) compute.Tensor {
			x := d.Alloc(shape, compute.Working)
			compute.Normal(Data[float32](x), seed, "frozen", 1)
			return x
		}
		for _, stored := range []compute.DType{compute.Working, compute.BFloat16} {
			for _, size := range [][3]int{
				{1, 500, 70}, {16, 800, 64}, {42, 40, 96}, {43, 800, 96}, {100, 500, 70}, {800, 50, 64},
			} {
				rows, k, n := size[0], size[1], size[2]
				x, dy, w := random(1, rows, k), random(2, rows, n), random(3, n, k)
				frozen, values := d.AllocFrozen(compute.Shape{n, k}, stored), Data[float32](w)
				for i := range values {
					values[i] = math.Float32frombits(math.Float32bits(values[i]) &^ 0xffff)
				}
				d.Upload(frozen, values)
				var got [2][]float32
				for i, w := range []compute.Tensor{w, frozen} {
					y, dx := random(4, rows, n), random(5, rows, k)
					d.Linear(y, compute.Tensor{}, x, w, compute.Tensor{}, compute.GELU)
					d.Gemm(dx, 0.5, dy, false, w, false, true)
					got[i] = append(Data[float32](y), Data[float32](dx)...)
				}
				for i, v := range got[1] {
					if math.Float32bits(v) != math.Float32bits(got[0][i]) {
						t.Errorf("workers=%d %v size=%v: element %d is %v; want %v", workers, stored, size, i, v, got[0][i])
						break
					}
				}
			}
		}
	}
}

func testWorkers[T Float, B comparable](t *testing.T, open func(workers int) *Device[T], bits func(T) B) {
	want := step(open(1))
	for _, workers := range []int{2, 3, 7} {
		for i, x := range step(open(workers)) {
			for j, v := range x {
				if bits(v) != bits(want[i][j]) {
					t.Fatalf("workers=%d: element %d of tensor %d is %v, %v with one", workers, j, i, v, want[i][j])
				}
			}
		}
	}
	for i, x := range want {
		for j, v := range x {
			if !finite(v) {
				t.Fatalf("element %d of tensor %d is %v: the test proves nothing", j, i, v)
			}
		}
	}
}
