package computetest

import (
	"fmt"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/cpu"
)

// narrow is a device that works in bfloat16: a CPU device that rounds every result of type Working. It panics on
// tensors of types that the contract does not allow, and counts its arena in the bytes that bfloat16 would take.
type narrow struct {
	*cpu.Device[float32]
	arena  compute.Arena
	places map[place]int64
}

// place identifies a tensor of Temp.
type place struct {
	buf compute.Buffer
	off int
}

var half = Config{Eps: single.Eps, Bits: 8}

func openNarrow() *narrow {
	return &narrow{Device: cpu.Open[float32](1), places: map[place]int64{}}
}

func (d *narrow) Bytes(t compute.DType) int64 {
	if t == compute.Working {
		return 2
	}
	return 4
}

func (d *narrow) bytes(x tensor) int64 { return d.Bytes(x.DType) * int64(x.Shape.Len()) }

func (d *narrow) Reserve(bytes int64) { d.Device.Reserve(2 * bytes); d.arena.Reset(); clear(d.places) }
func (d *narrow) Reset()              { d.Device.Reset(); d.arena.Reset(); clear(d.places) }

func (d *narrow) Temp(s compute.Shape, t compute.DType) tensor {
	x := d.Device.Temp(s, t)
	d.places[place{x.Buf, x.Off}] = d.arena.Alloc(d.bytes(x))
	return x
}

func (d *narrow) Release(x tensor) {
	d.Device.Release(x)
	d.arena.Free(d.places[place{x.Buf, x.Off}], d.bytes(x))
}

func (d *narrow) Stats() compute.Stats {
	s := d.Device.Stats()
	s.ArenaPeak = d.arena.Peak()
	return s
}

// are panics unless every tensor of xs that is present has type t.
func are(t compute.DType, xs ...tensor) {
	for _, x := range xs {
		if x.Present() && x.DType != t {
			panic(fmt.Sprintf("a tensor %v is %v, not %v", x.Shape, x.DType, t))
		}
	}
}

// AllocFrozen returns an ordinary tensor, as a device does that stores weights in its own precision.
func (d *narrow) AllocFrozen(s compute.Shape, _ compute.DType) tensor {
	return d.Alloc(s, compute.Working)
}

func wantWorking(xs ...tensor) { are(compute.Working, xs...) }
func wantExact(xs ...tensor)   { are(compute.Exact, xs...) }

// store rounds those of xs that have type Working.
func store(xs ...tensor) {
	for _, x := range xs {
		if x.Present() && x.DType == compute.Working {
			for i, v := 0, cpu.Data[float32](x); i < len(v); i++ {
				v[i] = float32(half.round(float64(v[i])))
			}
		}
	}
}

func (d *narrow) Upload(dst tensor, src []float32) { d.Device.Upload(dst, src); store(dst) }
func (d *narrow) Fill(dst tensor, v float32)       { d.Device.Fill(dst, v); store(dst) }
func (d *narrow) Copy(dst, src tensor)             { d.Device.Copy(dst, src); store(dst) }
func (d *narrow) Act(a compute.Act, dst, pre tensor) {
	wantWorking(dst, pre)
	d.Device.Act(a, dst, pre)
	store(dst)
}
func (d *narrow) Dropout(dst, x tensor, m compute.Dropout) {
	wantWorking(dst, x)
	d.Device.Dropout(dst, x, m)
	store(dst)
}
func (d *narrow) SumRows(dst, x tensor)     { wantExact(dst); wantWorking(x); d.Device.SumRows(dst, x) }
func (d *narrow) Gather(dst, x, idx tensor) { are(dst.DType, x); d.Device.Gather(dst, x, idx) }
func (d *narrow) Scatter(dst, idx, x tensor) {
	are(dst.DType, x)
	d.Device.Scatter(dst, idx, x)
	store(dst)
}
func (d *narrow) Put(dst, idx, x tensor) { are(dst.DType, x); d.Device.Put(dst, idx, x) }
func (d *narrow) ArgMax(dst, x tensor)   { wantExact(dst); wantWorking(x); d.Device.ArgMax(dst, x) }
func (d *narrow) SumAbs(dst, x tensor)   { wantExact(dst, x); d.Device.SumAbs(dst, x) }
func (d *narrow) GradNorm(state, g, loss tensor, m float32) {
	wantExact(state, g, loss)
	d.Device.GradNorm(state, g, loss, m)
}

func (d *narrow) Axpy(dst tensor, alpha float32, x tensor) {
	are(dst.DType, x)
	d.Device.Axpy(dst, alpha, x)
	store(dst)
}

func (d *narrow) ActGrad(a compute.Act, dx, pre, dy tensor) {
	wantWorking(dx, pre, dy)
	d.Device.ActGrad(a, dx, pre, dy)
	store(dx)
}

func (d *narrow) Embed(dst, ids, pos, types, word, position, tokenType tensor) {
	wantWorking(dst, word, position, tokenType)
	d.Device.Embed(dst, ids, pos, types, word, position, tokenType)
	store(dst)
}

func (d *narrow) EmbedGrad(dword, dposition, dtokenType, ids, pos, types, dy tensor) {
	wantExact(dword, dposition, dtokenType)
	wantWorking(dy)
	d.Device.EmbedGrad(dword, dposition, dtokenType, ids, pos, types, dy)
}

func (d *narrow) Gemm(dst tensor, alpha float32, a tensor, ta bool, b tensor, tb, add bool) {
	are(a.DType, b)
	if a.DType == compute.Exact {
		wantExact(dst)
	}
	d.Device.Gemm(dst, alpha, a, ta, b, tb, add)
	store(dst)
}

// ReadsNF4 returns false, because a narrow device reads weights in its own type.
func (d *narrow) ReadsNF4() bool { return false }

func (d *narrow) Linear(dst, pre, x, w, bias tensor, act compute.Act) {
	wantWorking(dst, pre, x, w, bias)
	d.Device.Linear(dst, pre, x, w, bias, act)
	store(dst, pre)
}

func (d *narrow) LowRankDown(u, x, a tensor, m compute.Dropout) {
	wantWorking(x, a)
	wantExact(u)
	d.Device.LowRankDown(u, x, a, m)
}

func (d *narrow) LowRankDownGrad(dx, da, x, a, du tensor, m compute.Dropout, add bool) {
	wantWorking(dx, x, a)
	wantExact(da, du)
	d.Device.LowRankDownGrad(dx, da, x, a, du, m, add)
	store(dx)
}

func (d *narrow) LowRankUp(dst, u, b tensor, scale float32) {
	wantWorking(dst, b)
	wantExact(u)
	d.Device.LowRankUp(dst, u, b, scale)
	store(dst)
}

func (d *narrow) LowRankUpGrad(du, db, u, b, dy tensor, scale float32) {
	wantWorking(b, dy)
	wantExact(du, db, u)
	d.Device.LowRankUpGrad(du, db, u, b, dy, scale)
}

// LayerNorm stores the sum, which rounds it, before it normalises.
func (d *narrow) LayerNorm(o compute.LayerNormArgs) {
	wantWorking(o.Dst, o.Sum, o.X, o.Residual, o.Gamma, o.Beta)
	wantExact(o.Stats)
	if o.Residual.Present() {
		d.Device.LayerNorm(o)
		store(o.Sum)
		o.X, o.Sum, o.Residual, o.Drop = o.Sum, tensor{}, tensor{}, compute.Dropout{}
	}
	d.Device.LayerNorm(o)
	store(o.Dst)
}

func (d *narrow) LayerNormGrad(o compute.LayerNormGradArgs) {
	wantWorking(o.DX, o.DResidual, o.Sum, o.Gamma, o.DY)
	wantExact(o.DGamma, o.DBeta, o.Stats)
	d.Device.LayerNormGrad(o)
	store(o.DX, o.DResidual)
}

func (d *narrow) RMSNorm(o compute.RMSNormArgs) {
	wantWorking(o.Dst, o.X, o.Gamma)
	wantExact(o.RStd)
	d.Device.RMSNorm(o)
	store(o.Dst)
}

func (d *narrow) RMSNormGrad(o compute.RMSNormGradArgs) {
	wantWorking(o.DX, o.X, o.Gamma, o.DY)
	wantExact(o.DGamma, o.RStd)
	d.Device.RMSNormGrad(o)
	store(o.DX)
}

func (d *narrow) RoPE(x, pos, table tensor, inverse bool) {
	wantWorking(x)
	wantExact(table)
	d.Device.RoPE(x, pos, table, inverse)
	store(x)
}

func (d *narrow) SwiGLU(dst, gate, up tensor) {
	wantWorking(dst, gate, up)
	d.Device.SwiGLU(dst, gate, up)
	store(dst)
}

func (d *narrow) SwiGLUGrad(dgate, dup, gate, up, dy tensor) {
	wantWorking(dgate, dup, gate, up, dy)
	d.Device.SwiGLUGrad(dgate, dup, gate, up, dy)
	store(dgate, dup)
}

func (d *narrow) Attention(dst, lse, q, k, v tensor, o compute.AttnOpts) {
	wantWorking(dst, q, k, v, o.Bias)
	wantExact(lse)
	d.Device.Attention(dst, lse, q, k, v, o)
	store(dst)
}

func (d *narrow) AttentionGrad(o compute.AttentionGradArgs) {
	wantWorking(o.DQ, o.DK, o.DV, o.Q, o.K, o.V, o.Y, o.DY, o.Bias)
	wantExact(o.LSE, o.DBias)
	d.Device.AttentionGrad(o)
	store(o.DQ, o.DK, o.DV)
}

func (d *narrow) CrossEntropy(loss, dlogits, logits, labels tensor, scale float32, o compute.CrossEntropyOpts) {
	wantExact(loss, o.Rows, o.Classes)
	wantWorking(dlogits, logits)
	d.Device.CrossEntropy(loss, dlogits, logits, labels, scale, o)
	store(dlogits)
}

func (d *narrow) BinaryCrossEntropy(loss, dlogits, logits, targets tensor, scale float32) {
	wantExact(loss, targets)
	wantWorking(dlogits, logits)
	d.Device.BinaryCrossEntropy(loss, dlogits, logits, targets, scale)
	store(dlogits)
}

func (d *narrow) MSE(loss, dx, x, y tensor, scale float32) {
	wantExact(loss, y)
	wantWorking(dx, x)
	d.Device.MSE(loss, dx, x, y, scale)
	store(dx)
}

func (d *narrow) AdamW(p, w, m, v, g, state tensor, o compute.AdamWOpts) {
	wantExact(p, m, v, g, state)
	wantWorking(w)
	d.Device.AdamW(p, w, m, v, g, state, o)
	store(w)
}
