// Package model is the encoder: BERT and RoBERTa with a classification head, read
// from a Hugging Face model directory and run over packed batches.
//
// It knows nothing of fine-tuning methods. A method takes part in a pass as a
// Hook, which sees every linear layer and every block.
package model

import (
	"fmt"
	"math"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/tape"
)

// Linear is a weight [M,K] with its bias [M].
type Linear struct{ W, B *tape.Param }

type norm struct{ gamma, beta *tape.Param }

type block struct {
	linear       map[string]Linear
	norm1, norm2 norm
}

// Model is a BERT or RoBERTa encoder with its classification head.
type Model struct {
	Config
	// Prefix is the encoder's name in a checkpoint of the whole network.
	Prefix string
	// HeadOrigin says where Load found the head.
	HeadOrigin           HeadOrigin
	word, position, kind *tape.Param
	norm                 norm
	blocks               []block
	pooler               Linear // BERT
	dense                Linear // RoBERTa's head
	out                  Linear
	head, base           []*tape.Param
	act                  compute.Act
	staging              []int32
}

// Head lists the parameters of the classification head: what a run trains
// beside its adapter and saves with it.
func (m *Model) Head() []*tape.Param { return m.head }

// Encoder lists all other parameters, in the order of a forward pass.
func (m *Model) Encoder() []*tape.Param { return m.base }

// At returns the linear layer at a site.
func (m *Model) At(s Site) Linear { return m.blocks[s.Layer].linear[s.Name] }

// Outputs returns the width of the logits: classes, or 1 for regression.
func (m *Model) Outputs() int { return m.out.W.Value.Shape[0] }

// Forward returns the logits [B, Outputs] of the pass's batch.
//
// Only the first token of a sequence reaches the head, so in the last layer
// only keys and values are computed for all rows, the rest for the B first
// ones. That is exact: nothing else of that layer is read.
func (m *Model) Forward(p *Pass) *tape.Var {
	e := p.Embed(p.ids, p.pos, p.types, m.word, m.position, m.kind)
	n := p.LayerNorm(e, m.norm.gamma, m.norm.beta, m.Eps)
	p.Release(e)
	x := p.Dropout(n, p.Mask(siteEmbedding, m.HiddenDropout, p.Row))
	if x != n {
		p.Release(n)
	}
	for l := range m.blocks {
		y := p.Hook.Block(p, l, x, func(x *tape.Var) *tape.Var { return m.block(p, l, x) })
		p.Release(x)
		x = y
	}
	return m.classify(p, x)
}

// block is one post-norm encoder layer.
func (m *Model) block(p *Pass, l int, x *tape.Var) *tape.Var {
	k := &m.blocks[l]
	linear := func(name string, x *tape.Var, act compute.Act) *tape.Var {
		w, s := k.linear[name], Site{l, name}
		if !p.Hook.Adapts(s) {
			return p.Linear(x, w.W, w.B, act)
		}
		y := p.Linear(x, w.W, w.B, compute.Identity)
		p.Hook.Linear(p, s, x, y)
		if act == compute.Identity {
			return y
		}
		z := p.Act(y, act)
		p.Release(y)
		return z
	}
	key, value := linear(Key, x, compute.Identity), linear(Value, x, compute.Identity)
	rows, cuQ, longest := x, p.cu, p.longest
	if l == len(m.blocks)-1 {
		rows, cuQ, longest = p.Gather(x, p.first), p.cuFirst, 1
	}
	query := linear(Query, rows, compute.Identity)
	d := m.Width / m.Heads
	kv := p.Hook.KV(p, l, KV{K: key, V: value, Cu: p.cu, Longest: p.longest})
	a := p.Attention(query, kv.K, kv.V, compute.AttnOpts{
		Heads: m.Heads, KVHeads: m.Heads, HeadDim: d, CuQ: cuQ, CuK: kv.Cu, MaxQ: longest, MaxK: kv.Longest,
		Scale: float32(1 / math.Sqrt(float64(d))), Dropout: p.layerMask(l, siteAttention, m.AttentionDropout, rows),
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
	o := linear(AttentionOutput, a, compute.Identity)
	p.Release(a)
	x1 := end(AttentionHalf, o, rows, k.norm1, siteSelf)
	p.Release(o)
	if rows != x {
		p.Release(rows)
	}
	f := linear(Intermediate, x1, m.act)
	g := linear(Output, f, compute.Identity)
	p.Release(f)
	y := end(FeedForwardHalf, g, x1, k.norm2, siteFF)
	p.Release(g, x1)
	return y
}

// classify is the head as in Hugging Face: RoBERTa's dropout, dense, tanh,
// dropout, projection; BERT's pooler (dense, tanh), dropout, projection.
func (m *Model) classify(p *Pass, x *tape.Var) *tape.Var {
	if m.Type == "bert" {
		x = p.Linear(x, m.pooler.W, m.pooler.B, compute.Tanh)
	} else {
		x = p.Dropout(x, p.Mask(siteHead, m.classifierDropout(), p.Example))
		x = p.Linear(x, m.dense.W, m.dense.B, compute.Tanh)
	}
	x = p.Dropout(x, p.Mask(siteHead+1, m.classifierDropout(), p.Example))
	return p.Linear(x, m.out.W, m.out.B, compute.Identity)
}

// Check says why a batch cannot go through m: a token or a token type outside
// its table, or a sequence longer than the position table.
func (m *Model) Check(b Batch) error {
	for i := range b.Len() {
		if l := int(b.Cu[i+1] - b.Cu[i]); l > m.MaxTokens() {
			return fmt.Errorf("model: forward: sequence %d of the batch has %d tokens; want at most %d", i, l, m.MaxTokens())
		}
	}
	for i, id := range b.IDs {
		if id < 0 || int(id) >= m.Vocab {
			return fmt.Errorf("model: forward: token %d has id %d; want 0 to %d", i, id, m.Vocab-1)
		}
	}
	for i, id := range b.Types {
		if id < 0 || int(id) >= m.Types {
			return fmt.Errorf("model: forward: token %d has type %d; want 0 to %d", i, id, m.Types-1)
		}
	}
	return nil
}
