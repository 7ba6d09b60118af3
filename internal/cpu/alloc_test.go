package cpu

import (
	"fmt"
	"testing"

	"github.com/lor2c/lor2c/internal/compute"
)

// TestAllocations checks that a method whose scratch memory has grown allocates only a few closures, whatever the
// size of its tensors.
func TestAllocations(t *testing.T) {
	const most = 24
	for _, size := range []int{64, 1024} {
		d := Open[float32](2)
		for _, op := range opsOf(d, size, 192) {
			t.Run(fmt.Sprintf("n=%d/op=%s", size, op.name), func(t *testing.T) {
				if got := testing.AllocsPerRun(2, op.run); got > most {
					t.Errorf("%v allocations, want at most %d", got, most)
				}
				if d.Err() != nil {
					t.Error(d.Err())
				}
			})
		}
	}
}

type namedOp struct {
	name string
	run  func()
}

// opsOf lists calls of all methods on n rows of c columns.
func opsOf(d *Device[float32], n, c int) []namedOp {
	float := func(shape ...int) compute.Tensor { return d.Alloc(shape, compute.Working) }
	const r, heads = 8, 3
	x, y, z, s := float(n, c), float(n, c), float(n, c), float(n, c)
	w, bias, stats, loss, state := float(c, c), float(c), float(n, 2), float(1), float(compute.StateLen)
	a, b, u, v, long := float(r, c), float(c, r), float(n, r), float(n, r), float(n+2*r, c)
	ids, cu := d.Alloc(compute.Shape{n}, compute.Int), d.Alloc(compute.Shape{3}, compute.Int)
	d.UploadInts(cu, []int32{0, int32(n / 2), int32(n)})
	drop := compute.Dropout{P: 0.1}
	o := compute.AttnOpts{
		Heads: heads, KVHeads: heads, HeadDim: c / heads, CuQ: cu, CuK: cu, MaxQ: n / 2, MaxK: n / 2,
		Scale: 1, Dropout: drop,
	}
	biased, dbias := o, float(5, heads)
	biased.Bias, biased.Buckets = float(5, heads), d.Alloc(compute.Shape{2*o.MaxK - 1}, compute.Int)
	lse, one, rstd, angles := float(n, heads), float(n, 1), float(n), float(1, c/heads)
	shape := compute.Shape{n, c}
	opts := compute.AdamWOpts{LR: 1e-3, Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, Step: 1}
	return []namedOp{
		{"Temp", func() { d.Reset(); d.Release(d.Temp(shape, compute.Working)) }},
		{"Fill", func() { d.Fill(x, 1) }},
		{"Copy", func() { d.Copy(x, y) }},
		{"Axpy", func() { d.Axpy(x, 1, y) }},
		{"Act", func() { d.Act(compute.GELU, x, y) }},
		{"ActGrad", func() { d.ActGrad(compute.GELU, x, y, z) }},
		{"SwiGLU", func() { d.SwiGLU(x, y, z) }},
		{"SwiGLUGrad", func() { d.SwiGLUGrad(x, y, z, s, s) }},
		{"Dropout", func() { d.Dropout(x, x, drop) }},
		{"SumRows", func() { d.SumRows(bias, x) }},
		{"Gather", func() { d.Gather(x, y, ids) }},
		{"Scatter", func() { d.Scatter(x, ids, y) }},
		{"Embed", func() { d.Embed(x, ids, ids, ids, y, z, s) }},
		{"EmbedGrad", func() { d.EmbedGrad(x, y, z, ids, ids, ids, s) }},
		{"Gemm", func() { d.Gemm(w, 1, x, true, y, false, true) }},
		{"Linear", func() { d.Linear(x, z, y, w, bias, compute.GELU) }},
		{"LowRankDown", func() { d.LowRankDown(u, y, a, drop) }},
		{"LowRankDownGrad", func() { d.LowRankDownGrad(x, a, y, a, u, drop, true) }},
		{"LowRankUp", func() { d.LowRankUp(x, u, b, 1) }},
		{"LowRankUpGrad", func() { d.LowRankUpGrad(u, b, u, b, z, 1) }},
		{"LayerNorm", func() {
			d.LayerNorm(compute.LayerNormArgs{
				Dst: x, Sum: y, Stats: stats, X: z, Residual: s, Gamma: bias, Beta: bias, Eps: 1e-5, Drop: drop,
			})
		}},
		{"LayerNormGrad", func() {
			d.LayerNormGrad(compute.LayerNormGradArgs{
				DX: x, DResidual: y, DGamma: bias, DBeta: bias, Sum: z, Gamma: bias, Stats: stats, DY: s, Drop: drop,
			})
		}},
		{"RMSNorm", func() { d.RMSNorm(compute.RMSNormArgs{Dst: x, RStd: rstd, X: y, Gamma: bias, Eps: 1e-5}) }},
		{"RMSNormGrad", func() {
			d.RMSNormGrad(compute.RMSNormGradArgs{
				DX: x, DGamma: bias, X: y, Gamma: bias, RStd: rstd, DY: z, Accumulate: true,
			})
		}},
		{"RoPE", func() { d.RoPE(x, ids, angles, true) }},
		{"Attention", func() { d.Attention(x, lse, y, z, s, o) }},
		{"AttentionGrad", func() {
			d.AttentionGrad(compute.AttentionGradArgs{
				DQ: x, DK: y, DV: z, Q: x, K: y, V: z, Y: s, LSE: lse, DY: s, AttnOpts: o,
			})
		}},
		{"BiasedAttention", func() { d.Attention(x, lse, y, z, s, biased) }},
		{"BiasedAttentionGrad", func() {
			d.AttentionGrad(compute.AttentionGradArgs{
				DQ: x, DK: y, DV: z, Q: x, K: y, V: z, Y: s, LSE: lse, DY: s, DBias: dbias, AttnOpts: biased,
			})
		}},
		{"CrossEntropy", func() { d.CrossEntropy(loss, x, y, ids, 1, compute.CrossEntropyOpts{Smoothing: 0.1}) }},
		{"BinaryCrossEntropy", func() { d.BinaryCrossEntropy(loss, x, y, z, 1) }},
		{"MSE", func() { d.MSE(loss, one, one, one.Slice(0, compute.Shape{n}), 1) }},
		{"GradNorm", func() { d.GradNorm(state, x, loss, 1) }},
		{"ScaleCols", func() { d.ScaleCols(x, y, bias, compute.ScaleOpts{Times: bias}) }},
		{"ScaleColsGrad", func() { d.ScaleColsGrad(x, bias, y, bias, z, compute.ScaleOpts{About: bias}) }},
		{"LowRankInvNorm", func() { d.LowRankInvNorm(bias, w, a, b, 1) }},
		{"PrependRows", func() { d.PrependRows(long, a, x, cu) }},
		{"PrependRowsGrad", func() { d.PrependRowsGrad(x, a, long, cu) }},
		{"Softmax", func() { d.Softmax(u, u) }},
		{"SoftmaxGrad", func() { d.SoftmaxGrad(u, u, u) }},
		{"Gate", func() { d.Gate(long.Slice(0, compute.Shape{n, 8 * r}), u, u) }},
		{"GateGrad", func() { d.GateGrad(u, v, u, v, long.Slice(0, compute.Shape{n, 8 * r})) }},
		{"SymmetricKL", func() { d.SymmetricKL(loss, x, y, z, s, 1, false) }},
		{"Balance", func() { d.Balance(loss, u, v, v, 1) }},
		{"Orthogonality", func() { d.Orthogonality(loss, w, 1) }},
		{"Importance", func() { d.Importance(x, y, z, s, state, 0.9, 0.9) }},
		{"SumProducts", func() { d.SumProducts(bias, x, y, 1, true) }},
		{"ZeroSmallest", func() { d.ZeroSmallest(rstd, rstd, 3) }},
		{"AdamW", func() { d.AdamW(x, compute.Tensor{}, y, z, s, state, opts) }},
	}
}
