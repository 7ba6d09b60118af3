//go:build unix

package cpu

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/lor2c/lor2c/internal/compute"
)

// These are shapes of RoBERTa-base: 32 sequences of 128 tokens.
const (
	benchTokens = 4096
	benchWidth  = 768
	benchHeads  = 12
	benchSeq    = 128
)

var benchDrop = compute.Dropout{P: 0.1, Key: 42, Step: 1, Site: 1}

// bench is the device of one benchmark.
type bench struct {
	*testing.B
	dev *Device[float32]
}

// forWorkers runs f with one worker and with one for each processor.
func forWorkers(b *testing.B, name string, f func(b bench)) {
	for _, workers := range []int{1, 2} {
		b.Run(fmt.Sprintf("%sworkers=%d", name, workers), func(b *testing.B) {
			f(bench{b, Open[float32](workers)})
		})
	}
}

// tensor returns a tensor of random values around 0.
func (b bench) tensor(shape ...int) compute.Tensor {
	t := b.dev.Alloc(shape, compute.Working)
	x := Data[float32](t)
	compute.Normal(x, 1, "bench", 1)
	return t
}

// time runs f b.N times and returns the nanoseconds. With one worker it measures processor time, which other programs
// on the machine disturb less.
func (b bench) time(f func()) int64 {
	f()
	var before, after syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	for b.Loop() {
		f()
	}
	syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	if b.dev.workers > 1 {
		return b.Elapsed().Nanoseconds()
	}
	return after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
}

// elements times f and reports nanoseconds per element.
func (b bench) elements(n int, f func()) {
	b.ReportMetric(float64(b.time(f))/float64(b.N)/float64(n), "ns/element")
}

// flops times f and reports floating-point operations per second.
func (b bench) flops(n int, f func()) {
	b.ReportMetric(float64(n)*float64(b.N)/float64(b.time(f)), "GFLOP/s")
}

func BenchmarkLinear(b *testing.B) {
	for _, s := range [][3]int{{4096, 768, 768}, {4096, 768, 3072}, {4096, 3072, 768}, {512, 768, 768}} {
		forWorkers(b, fmt.Sprintf("n=%d/k=%d/m=%d/", s[0], s[1], s[2]), func(b bench) {
			x, w, bias := b.tensor(s[0], s[1]), b.tensor(s[2], s[1]), b.tensor(s[2])
			y := b.tensor(s[0], s[2])
			b.flops(2*s[0]*s[1]*s[2], func() { b.dev.Linear(y, compute.Tensor{}, x, w, bias, compute.Identity) })
		})
	}
}

// BenchmarkGemm times the two gradients of a linear layer.
func BenchmarkGemm(b *testing.B) {
	const n, k, m = 4096, 768, 3072
	forWorkers(b, "dx/", func(b bench) {
		dy, w, dx := b.tensor(n, m), b.tensor(m, k), b.tensor(n, k)
		b.flops(2*n*k*m, func() { b.dev.Gemm(dx, 1, dy, false, w, false, false) })
	})
	forWorkers(b, "dw/", func(b bench) {
		dy, x, dw := b.tensor(n, m), b.tensor(n, k), b.tensor(m, k)
		b.flops(2*n*k*m, func() { b.dev.Gemm(dw, 1, dy, true, x, false, true) })
	})
}

func BenchmarkLowRank(b *testing.B) {
	const n, c, r = benchTokens, benchWidth, 8
	forWorkers(b, "", func(b bench) {
		x, y, u := b.tensor(n, c), b.tensor(n, c), b.tensor(n, r)
		down, up := b.tensor(r, c), b.tensor(c, r)
		b.elements(n*c, func() {
			b.dev.LowRankDown(u, x, down, benchDrop)
			b.dev.LowRankUp(y, u, up, 1)
		})
	})
	forWorkers(b, "grad/", func(b bench) {
		x, dy, dx, u, du := b.tensor(n, c), b.tensor(n, c), b.tensor(n, c), b.tensor(n, r), b.tensor(n, r)
		down, up := b.tensor(r, c), b.tensor(c, r)
		da, db := b.tensor(r, c), b.tensor(c, r)
		b.elements(n*c, func() {
			b.dev.LowRankUpGrad(du, db, u, up, dy, 1)
			b.dev.LowRankDownGrad(dx, da, x, down, du, benchDrop, true)
		})
	})
}

// BenchmarkAttention counts one element for every query, head and key.
func BenchmarkAttention(b *testing.B) {
	const n, c = benchTokens, benchWidth
	for _, p := range []float32{0, 0.1} {
		forWorkers(b, fmt.Sprintf("drop=%v/", p), func(b bench) {
			q, k, v, y, o := b.attention(p)
			lse := b.tensor(n, benchHeads)
			b.elements(n*benchHeads*benchSeq, func() { b.dev.Attention(y, lse, q, k, v, o) })
		})
		forWorkers(b, fmt.Sprintf("grad/drop=%v/", p), func(b bench) {
			q, k, v, y, o := b.attention(p)
			lse := b.tensor(n, benchHeads)
			b.dev.Attention(y, lse, q, k, v, o)
			dq, dk, dv, dy := b.tensor(n, c), b.tensor(n, c), b.tensor(n, c), b.tensor(n, c)
			b.elements(n*benchHeads*benchSeq, func() {
				b.dev.AttentionGrad(compute.AttentionGradArgs{
					DQ: dq, DK: dk, DV: dv, Q: q, K: k, V: v, Y: y, LSE: lse, DY: dy, AttnOpts: o,
				})
			})
		})
	}
}

func (b bench) attention(p float32) (q, k, v, y compute.Tensor, o compute.AttnOpts) {
	const n, c = benchTokens, benchWidth
	cu := b.dev.Alloc(compute.Shape{n/benchSeq + 1}, compute.Int)
	for i, x := 0, ints[float32](cu); i < len(x); i++ {
		x[i] = int32(i * benchSeq)
	}
	o = compute.AttnOpts{
		Heads: benchHeads, KVHeads: benchHeads, HeadDim: c / benchHeads,
		CuQ: cu, CuK: cu, MaxQ: benchSeq, MaxK: benchSeq, Scale: 0.125, Dropout: benchDrop,
	}
	o.Dropout.P = p
	return b.tensor(n, c), b.tensor(n, c), b.tensor(n, c), b.tensor(n, c), o
}

func BenchmarkLayerNorm(b *testing.B) {
	const n, c = benchTokens, benchWidth
	for _, p := range []float32{0, 0.1} {
		drop := benchDrop
		drop.P = p
		forWorkers(b, fmt.Sprintf("drop=%v/", p), func(b bench) {
			x, res, sum, y := b.tensor(n, c), b.tensor(n, c), b.tensor(n, c), b.tensor(n, c)
			stats, gamma, beta := b.tensor(n, 2), b.tensor(c), b.tensor(c)
			b.elements(n*c, func() {
				b.dev.LayerNorm(compute.LayerNormArgs{
					Dst: y, Sum: sum, Stats: stats, X: x, Residual: res, Gamma: gamma, Beta: beta, Eps: 1e-5, Drop: drop,
				})
			})
		})
		forWorkers(b, fmt.Sprintf("grad/drop=%v/", p), func(b bench) {
			dx, dres, sum, dy := b.tensor(n, c), b.tensor(n, c), b.tensor(n, c), b.tensor(n, c)
			stats, gamma := b.tensor(n, 2), b.tensor(c)
			b.elements(n*c, func() {
				b.dev.LayerNormGrad(compute.LayerNormGradArgs{
					DX: dx, DResidual: dres, Sum: sum, Gamma: gamma, Stats: stats, DY: dy, Drop: drop,
				})
			})
		})
	}
}

func BenchmarkGELU(b *testing.B) {
	const n = benchTokens * 4 * benchWidth
	forWorkers(b, "", func(b bench) {
		x, y := b.tensor(n), b.tensor(n)
		b.elements(n, func() { b.dev.Act(compute.GELU, y, x) })
	})
	forWorkers(b, "grad/", func(b bench) {
		x, dy := b.tensor(n), b.tensor(n)
		b.elements(n, func() { b.dev.ActGrad(compute.GELU, dy, x, dy) })
	})
}

func BenchmarkTanhGELU(b *testing.B) {
	const n = benchTokens * 4 * benchWidth
	forWorkers(b, "", func(b bench) {
		x, y := b.tensor(n), b.tensor(n)
		b.elements(n, func() { b.dev.Act(compute.GELUTanh, y, x) })
	})
	forWorkers(b, "grad/", func(b bench) {
		x, dy := b.tensor(n), b.tensor(n)
		b.elements(n, func() { b.dev.ActGrad(compute.GELUTanh, dy, x, dy) })
	})
}

func BenchmarkDropout(b *testing.B) {
	forWorkers(b, "", func(b bench) {
		x := b.tensor(benchTokens, benchWidth)
		b.elements(benchTokens*benchWidth, func() { b.dev.Dropout(x, x, benchDrop) })
	})
}

func BenchmarkAxpy(b *testing.B) {
	forWorkers(b, "", func(b bench) {
		x, y := b.tensor(benchTokens*benchWidth), b.tensor(benchTokens*benchWidth)
		b.elements(benchTokens*benchWidth, func() { b.dev.Axpy(y, 1e-9, x) })
	})
}

func BenchmarkSumRows(b *testing.B) {
	forWorkers(b, "", func(b bench) {
		x, y := b.tensor(benchTokens, benchWidth), b.tensor(benchWidth)
		b.elements(benchTokens*benchWidth, func() { b.dev.SumRows(y, x) })
	})
}

// BenchmarkAdamW updates the parameters of one layer.
func BenchmarkAdamW(b *testing.B) {
	const n = 12 * benchWidth * benchWidth
	forWorkers(b, "", func(b bench) {
		p, m, v, g, state := b.tensor(n), b.tensor(n), b.dev.Alloc(
			compute.Shape{n}, compute.Working,
		), b.tensor(n), b.tensor(compute.StateLen)
		copy(Data[float32](state), []float32{1, 1, 0})
		o := compute.AdamWOpts{LR: 1e-4, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.01, Step: 10}
		b.elements(n, func() { b.dev.AdamW(p, compute.Tensor{}, m, v, g, state, o) })
	})
}
