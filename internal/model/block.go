package model

import (
	"math"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/tape"
)

// These are the indices of the linear layers of an encoder's layer, in the
// order of SiteNames.
const (
	siteQuery = iota
	siteKey
	siteValue
	siteAttentionOutput
	siteIntermediate
	siteOutput
)

// block is the parameters of one post-norm encoder layer.
type block struct {
	linear       []Linear // in the order of the encoder's sites
	norm1, norm2 norm
}

// linear returns act(x WT + b) with what the hook adds to the linear layer at s before the activation.
func (p *Pass) linear(s Site, w Linear, x *tape.Var, act compute.Act) *tape.Var {
	in := p.Hook.Input(p, s, x)
	if in != x {
		defer p.Release(in)
	}
	if !p.Hook.Adapts(s) {
		return p.Linear(in, w.W, w.B, act)
	}
	y := p.Linear(in, w.W, w.B, compute.Identity)
	p.Hook.Linear(p, s, in, y)
	if act == compute.Identity {
		return y
	}
	z := p.Act(y, act)
	p.Release(y)
	return z
}

// block is one post-norm encoder layer.
func (m *Encoder) block(p *Pass, l int, x *tape.Var) *tape.Var {
	k := &m.blocks[l]
	linear := func(i int, x *tape.Var, act compute.Act) *tape.Var {
		return p.linear(m.sites[l*len(k.linear)+i], k.linear[i], x, act)
	}
	key, value := linear(siteKey, x, compute.Identity), linear(siteValue, x, compute.Identity)
	rows, cuQ, longest := x, p.cu, p.longest
	if l == p.last && p.read.Present() {
		rows, cuQ, longest = p.Gather(x, p.read), p.cuRead, 1
	}
	query := linear(siteQuery, rows, compute.Identity)
	d := m.Width / m.Heads
	kv := p.Hook.KV(p, l, KV{K: key, V: value, Cu: p.cu, Longest: p.longest})
	// Where only first tokens are read, each is query 0 of its sequence, as it is among all rows.
	a := p.BiasedAttention(query, kv.K, kv.V, m.relative.bias, compute.AttnOpts{
		Heads: m.Heads, KVHeads: m.Heads, HeadDim: d, CuQ: cuQ, CuK: kv.Cu, MaxQ: longest, MaxK: kv.Longest,
		Scale: float32(1 / math.Sqrt(float64(d))), Dropout: p.layerMask(l, siteAttention, m.AttentionDropout, rows),
		Buckets: m.relative.buckets,
	})
	p.Release(query, kv.K, kv.V)
	end := func(half Half, out, residual *tape.Var, n norm, site uint32) *tape.Var {
		return p.Hook.Sublayer(p, Sublayer{
			Layer: l, Half: half, Out: out, Residual: residual, Drop: p.layerMask(l, site, m.HiddenDropout, rows),
			Norm: func(x *tape.Var, drop compute.Dropout) *tape.Var {
				return p.AddNorm(x, residual, n.gamma, n.beta, m.Eps, drop)
			},
		})
	}
	o := linear(siteAttentionOutput, a, compute.Identity)
	p.Release(a)
	x1 := end(AttentionHalf, o, rows, k.norm1, siteSelf)
	p.Release(o)
	if rows != x {
		p.Release(rows)
	}
	f := linear(siteIntermediate, x1, m.act)
	g := linear(siteOutput, f, compute.Identity)
	p.Release(f)
	y := end(FeedForwardHalf, g, x1, k.norm2, siteFF)
	p.Release(g, x1)
	return y
}
