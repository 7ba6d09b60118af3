//go:build cuda && cgo && linux && amd64

package gpu

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/gpu/driver"
)

// benchCase is one op at one size. bytes is the number of bytes that it must move if it reads or writes each tensor
// once, and flops the number of its multiplications and additions.
type benchCase struct {
	name         string
	narrow       bool
	bytes, flops float64
	run          func(b *bench) func()
}

// bench allocates tensors of random numbers, because a product of zeros is faster.
type bench struct {
	*Device
	rng *rand.Rand
}

func (b *bench) tensor(t compute.DType, shape ...int) compute.Tensor {
	x := b.Alloc(shape, t)
	part := make([]float32, min(compute.Shape(shape).Len(), 1<<20))
	for i := range part {
		part[i] = float32(b.rng.NormFloat64())
	}
	for at, n := 0, compute.Shape(shape).Len(); at < n; at += len(part) {
		k := min(len(part), n-at)
		b.Upload(x.Slice(at, compute.Shape{k}), part[:k])
	}
	return x
}

func (b *bench) float(shape ...int) compute.Tensor { return b.tensor(compute.Working, shape...) }
func (b *bench) full(shape ...int) compute.Tensor  { return b.tensor(compute.Exact, shape...) }

func (b *bench) ints(values []int32) compute.Tensor {
	x := b.Alloc(compute.Shape{len(values)}, compute.Int)
	b.UploadInts(x, values)
	return x
}

// BenchmarkOp times every op of a step at the sizes of RoBERTa-base and LLaMA2-7B, by the clock of the card. GB/s and
// TFLOP/s are computed from what the op must do, not from what it does.
func BenchmarkOp(b *testing.B) {
	for _, c := range benchCases(realSizes) {
		b.Run(c.name, func(b *testing.B) {
			d := openCard(b, Options{Narrow: c.narrow})
			defer d.Close()
			op := c.run(&bench{d, rand.New(rand.NewPCG(1, 2))})
			const warm = 3
			for range warm {
				op()
				d.Reset()
			}
			b.ResetTimer()
			seconds, err := d.timed(func() {
				for range b.N {
					op()
					d.submit()
				}
			})
			if err != nil {
				b.Fatal(err)
			}
			each := seconds / float64(b.N)
			b.ReportMetric(each*1e6, "us/op")
			if c.flops > 0 {
				b.ReportMetric(c.flops/each/1e12, "TFLOP/s")
			}
			b.ReportMetric(c.bytes/each/1e9, "GB/s")
		})
	}
}

// benchSizes has the sizes of the cases.
type benchSizes struct {
	rows      []struct{ n, c, r int } // tokens, width and rank
	products  func(narrow bool) [][3]int
	attention []attentionSize
}

type attentionSize struct {
	batch, length, heads, dim int
	causal                    bool
}

// realSizes has 64 x 128 tokens at width 768, and 16,384 tokens at width 4096.
var realSizes = benchSizes{
	[]struct{ n, c, r int }{{8192, 768, 8}, {16384, 4096, 32}}, productSizes,
	[]attentionSize{{64, 54, 12, 64, false}, {64, 128, 12, 64, false}, {64, 256, 12, 64, false}, {32, 512, 32, 128, true}},
}

// benchCases returns a case for each op and size.
func benchCases(sizes benchSizes) (all []benchCase) {
	for _, narrow := range []bool{false, true} {
		size, dtype := 4.0, "f32"
		if narrow {
			size, dtype = 2, "bf16"
		}
		add := func(bytes, flops float64, run func(b *bench) func(), name string, args ...any) {
			all = append(all, benchCase{fmt.Sprintf(name, args...) + "/dtype=" + dtype, narrow, bytes, flops, run})
		}
		for _, s := range sizes.rows {
			n, c, r := s.n, s.c, s.r
			rows := float64(n) * float64(c) * size
			add(2*rows, 0, func(b *bench) func() {
				dst, x := b.float(n, c), b.float(n, c)
				return func() { b.Copy(dst, x) }
			}, "op=Copy/n=%d/c=%d", n, c)
			add(4*rows, 0, func(b *bench) func() {
				dst, x, res := b.float(n, c), b.float(n, c), b.float(n, c)
				gamma, beta, stats := b.float(c), b.float(c), b.full(n, 2)
				return func() {
					b.LayerNorm(compute.LayerNormArgs{
						Dst: dst, Sum: x, Stats: stats, X: x, Residual: res, Gamma: gamma, Beta: beta, Eps: 1e-5,
						Drop: benchDropout,
					})
				}
			}, "op=LayerNorm/n=%d/c=%d", n, c)
			add(4*rows, 0, func(b *bench) func() {
				dx, dres, sum, dy := b.float(n, c), b.float(n, c), b.float(n, c), b.float(n, c)
				gamma, stats := b.float(c), b.full(n, 2)
				return func() {
					b.LayerNormGrad(compute.LayerNormGradArgs{
						DX: dx, DResidual: dres, Sum: sum, Gamma: gamma, Stats: stats, DY: dy, Drop: benchDropout,
					})
				}
			}, "op=LayerNormGrad/n=%d/c=%d", n, c)
			add(rows, 2*float64(n*c*r), func(b *bench) func() {
				x, u, wa := b.float(n, c), b.full(n, r), b.float(r, c)
				return func() { b.LowRankDown(u, x, wa, benchDropout) }
			}, "op=LowRankDown/n=%d/c=%d/r=%d", n, c, r)
			add(2*rows, 2*float64(n*c*r), func(b *bench) func() {
				dst, u, wb := b.float(n, c), b.full(n, r), b.float(c, r)
				return func() { b.LowRankUp(dst, u, wb, 0.1) }
			}, "op=LowRankUp/n=%d/c=%d/r=%d", n, c, r)
			add(rows, 4*float64(n*c*r), func(b *bench) func() {
				du, db, u, wb, dy := b.full(n, r), b.full(c, r), b.full(n, r), b.float(c, r), b.float(n, c)
				return func() { b.LowRankUpGrad(du, db, u, wb, dy, 0.1) }
			}, "op=LowRankUpGrad/n=%d/c=%d/r=%d", n, c, r)
			add(3*rows, 4*float64(n*c*r), func(b *bench) func() {
				dx, da, x, wa, du := b.float(n, c), b.full(r, c), b.float(n, c), b.float(r, c), b.full(n, r)
				return func() { b.LowRankDownGrad(dx, da, x, wa, du, benchDropout, true) }
			}, "op=LowRankDownGrad/accumulate=true/n=%d/c=%d/r=%d", n, c, r)
			add(4*rows, 4*float64(n*c*r), func(b *bench) func() {
				dst, x, res := b.float(n, c), b.float(n, c), b.float(n, c)
				gamma, beta, stats := b.float(c), b.float(c), b.full(n, 2)
				before, after, wa, wb := b.full(n, r), b.full(n, r), b.float(r, c), b.float(c, r)
				return func() {
					b.LayerNorm(compute.LayerNormArgs{
						Dst: dst, Sum: x, Stats: stats, X: x, Residual: res, Gamma: gamma, Beta: beta, Eps: 1e-5,
						Drop: benchDropout,
					})
					b.LowRankUp(dst, before, wb, 0.1)
					b.LowRankDown(after, dst, wa, benchDropout)
				}
			}, "op=LayerNorm+LowRankUp+LowRankDown/n=%d/c=%d/r=%d", n, c, r)
			add(3*rows, 0, func(b *bench) func() {
				dx, pre, dy := b.float(n, c), b.float(n, c), b.float(n, c)
				return func() { b.ActGrad(compute.GELU, dx, pre, dy) }
			}, "op=ActGrad/n=%d/c=%d", n, c)
			add(2*rows, 0, func(b *bench) func() {
				dst, x, gamma, rstd := b.float(n, c), b.float(n, c), b.float(c), b.full(n)
				return func() { b.RMSNorm(compute.RMSNormArgs{Dst: dst, RStd: rstd, X: x, Gamma: gamma, Eps: 1e-5}) }
			}, "op=RMSNorm/n=%d/c=%d", n, c)
			add(4*rows, 0, func(b *bench) func() {
				dx, x, dy, gamma, rstd := b.float(n, c), b.float(n, c), b.float(n, c), b.float(c), b.full(n)
				return func() {
					b.RMSNormGrad(compute.RMSNormGradArgs{
						DX: dx, X: x, Gamma: gamma, RStd: rstd, DY: dy, Accumulate: true,
					})
				}
			}, "op=RMSNormGrad/accumulate=true/n=%d/c=%d", n, c)
			add(2*rows, 0, func(b *bench) func() {
				x, table, pos := b.float(n, c), b.full(512, 128), make([]int32, n)
				for i := range pos {
					pos[i] = int32(i % 512)
				}
				at := b.ints(pos)
				return func() { b.RoPE(x, at, table, false) }
			}, "op=RoPE/dim=128/n=%d/c=%d", n, c)
			add(3*rows, 0, func(b *bench) func() {
				dst, gate, up := b.float(n, c), b.float(n, c), b.float(n, c)
				return func() { b.SwiGLU(dst, gate, up) }
			}, "op=SwiGLU/n=%d/c=%d", n, c)
			add(5*rows, 0, func(b *bench) func() {
				dgate, dup, gate, up, dy := b.float(n, c), b.float(n, c), b.float(n, c), b.float(n, c), b.float(n, c)
				return func() { b.SwiGLUGrad(dgate, dup, gate, up, dy) }
			}, "op=SwiGLUGrad/n=%d/c=%d", n, c)
		}
		for _, s := range sizes.products(narrow) {
			n, k, m := s[0], s[1], s[2]
			bytes := size * float64(n*k+k*m+n*m)
			flops := 2 * float64(n) * float64(k) * float64(m)
			add(bytes, flops, func(b *bench) func() {
				y, x, w, bias := b.float(n, m), b.float(n, k), b.float(m, k), b.float(m)
				return func() { b.Linear(y, compute.Tensor{}, x, w, bias, compute.Identity) }
			}, "op=Linear/n=%d/k=%d/m=%d", n, k, m)
			add(bytes, flops, func(b *bench) func() {
				dx, dy, w := b.float(n, k), b.float(n, m), b.float(m, k)
				return func() { b.Gemm(dx, 1, dy, false, w, false, false) }
			}, "op=Gemm/grad=input/n=%d/k=%d/m=%d", n, k, m)
			add(bytes, flops, func(b *bench) func() {
				dw, dy, x := b.full(m, k), b.float(n, m), b.float(n, k)
				return func() {
					b.lastTiled = joinable{} // one product is measured, not a sum
					b.Gemm(dw, 1, dy, true, x, false, true)
				}
			}, "op=Gemm/grad=weight/n=%d/k=%d/m=%d", n, k, m)
		}
		for _, s := range sizes.attention {
			n, c := s.batch*s.length, s.heads*s.dim
			flops := 4 * float64(n) * float64(s.length) * float64(c)
			if s.causal {
				flops /= 2
			}
			open := func(b *bench) (q, k, v, y, lse compute.Tensor, o compute.AttnOpts) {
				cu := make([]int32, s.batch+1)
				for i := range cu {
					cu[i] = int32(i * s.length)
				}
				lens := b.ints(cu)
				return b.float(n, c), b.float(n, c), b.float(n, c), b.float(n, c), b.full(n, s.heads), compute.AttnOpts{
					Heads: s.heads, KVHeads: s.heads, HeadDim: s.dim, CuQ: lens, CuK: lens, MaxQ: s.length, MaxK: s.length,
					Causal: s.causal, Scale: 0.125, Dropout: benchDropout,
				}
			}
			add(4*size*float64(n*c), flops, func(b *bench) func() {
				q, k, v, y, lse, o := open(b)
				return func() { b.Attention(y, lse, q, k, v, o) }
			}, "op=Attention/batch=%d/length=%d/heads=%d/dim=%d", s.batch, s.length, s.heads, s.dim)
			add(8*size*float64(n*c), 2.5*flops, func(b *bench) func() {
				q, k, v, y, lse, o := open(b)
				dq, dk, dv, dy := b.float(n, c), b.float(n, c), b.float(n, c), b.float(n, c)
				b.Attention(y, lse, q, k, v, o)
				return func() {
					b.AttentionGrad(compute.AttentionGradArgs{
						DQ: dq, DK: dk, DV: dv, Q: q, K: k, V: v, Y: y, LSE: lse, DY: dy, AttnOpts: o,
					})
				}
			}, "op=AttentionGrad/batch=%d/length=%d/heads=%d/dim=%d", s.batch, s.length, s.heads, s.dim)
		}
	}
	return all
}

var benchDropout = compute.Dropout{P: 0.1, Key: 1, Step: 1, Site: 1}

// timed returns the seconds that the card needs for the ops that f calls.
func (d *Device) timed(f func()) (seconds float64, err error) {
	var marks [2]driver.Event
	mark := func(i int) {
		d.submit()
		d.fail(d.run(func() (err error) {
			if marks[i], err = driver.NewEvent(true); err != nil {
				return err
			}
			return marks[i].Record(d.stream)
		}))
	}
	mark(0)
	f()
	mark(1)
	if err := d.Sync(); err != nil {
		return 0, err
	}
	err = d.run(func() error {
		ms, err := driver.Elapsed(marks[0], marks[1])
		seconds = ms / 1000
		return errors.Join(err, marks[0].Destroy(), marks[1].Destroy())
	})
	return seconds, err
}
