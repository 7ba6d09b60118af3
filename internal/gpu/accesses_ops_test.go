//go:build cuda && cgo && linux && amd64

package gpu

import (
	"math/rand/v2"
	"testing"

	"github.com/lor2c/lor2c/internal/compute"
)

// countedSizes are the smallest at which every kernel of a step does all its work: whole tiles, two segments of
// columns, two parts of a gradient, and both ways to compute low-rank products.
var countedSizes = benchSizes{
	[]struct{ n, c, r int }{{128, 512, 8}, {64, 512, 16}, {64, 2048, 32}},
	func(bool) [][3]int { return [][3]int{{128, 128, 128}, {4, 128, 128}} },
	[]attentionSize{{1, 64, 2, 64, false}, {1, 128, 2, 64, false}, {1, 128, 2, 128, true}},
}

// runCounted runs a case once.
func runCounted(t *testing.T, c benchCase) {
	t.Helper()
	d := openCard(t, Options{Narrow: c.narrow})
	defer d.Close()
	c.run(&bench{d, rand.New(rand.NewPCG(1, 2))})()
	if err := d.Sync(); err != nil {
		t.Fatal(err)
	}
}

// moreCounted has the ops that BenchmarkOp leaves out.
func moreCounted() (all []benchCase) {
	const n, c = 64, 512
	for _, narrow := range []bool{false, true} {
		add := func(run func(b *bench) func()) { all = append(all, benchCase{narrow: narrow, run: run}) }
		add(func(b *bench) func() {
			x, y, gamma, beta := b.float(n, c), b.float(n, c), b.full(c), b.full(c)
			stats, dy, sums, mean := b.full(n, 2), b.float(n, c), b.full(c), b.full(n)
			labels := b.ints(make([]int32, n))
			return func() {
				b.Fill(x, 1)
				b.Axpy(y, 2, x)
				b.Act(compute.GELU, y, x)
				b.Dropout(y, x, benchDropout)
				b.SumRows(sums, y)
				b.LayerNormGrad(compute.LayerNormGradArgs{
					DX: x, DGamma: gamma, DBeta: beta, Sum: y, Gamma: b.float(c), Stats: stats, DY: dy,
				})
				b.RMSNormGrad(compute.RMSNormGradArgs{DX: x, DGamma: gamma, X: y, Gamma: b.float(c), RStd: mean, DY: dy})
				b.Gather(y, x, labels)
				b.Scatter(x, labels, y)
				b.Put(x, labels, y)
				b.ArgMax(b.ints(make([]int32, n)), x)
				b.Embed(y, labels, labels, labels, x, x, x)
				b.EmbedGrad(b.full(n, c), b.full(n, c), b.full(n, c), labels, labels, labels, y)
				b.CrossEntropy(b.full(1), y, x, labels, 1, compute.CrossEntropyOpts{})
				b.MSE(b.full(1), b.float(n, 1), b.float(n, 1), b.full(n), 1)
			}
		})
		add(func(b *bench) func() {
			p, w, m, v, g := b.full(n*c), b.float(n*c), b.full(n*c), b.full(n*c), b.full(n*c)
			state, loss := b.full(compute.StateLen), b.full(1)
			return func() {
				b.Fill(v, 1)
				b.Fill(state, 0)
				b.GradNorm(state, g, loss, 1)
				b.AdamW(p, w, m, v, g, state, compute.AdamWOpts{LR: 1e-3, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8})
				b.SumAbs(loss, g)
			}
		})
	}
	return all
}
