package model

import (
	"fmt"
	"math"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/tape"
)

// Decoder is a pre-norm decoder of the LLaMA family. Its output is the last hidden state of the rows that a batch
// reads; Vocabulary turns it into logits.
type Decoder struct {
	DecoderConfig
	words, norm, vocabulary *tape.Param
	blocks                  []decoderBlock
	sites                   []Site
	base                    []*tape.Param
	tokens                  int            // of the longest sequence
	lead                    int            // rows that a method puts in front of the keys of each sequence
	angles                  compute.Tensor // [lead+tokens, HeadDim], for compute.RoPE
	notes                   []string
	staging                 []int32
}

// decoderBlock is the parameters of one layer.
type decoderBlock struct {
	linear             []Linear // in the order of DecoderSiteNames
	norm1, norm2       *tape.Param
	queryNorm, keyNorm *tape.Param // of each head; nil if the family has none
}

// The linear layers of a decoder's layer, in the order of DecoderSiteNames.
const (
	siteQ = iota
	siteK
	siteV
	siteO
	siteGate
	siteUp
	siteDown
)

// DecoderSiteNames lists the linear layers of a decoder's layer in the order of a forward pass.
var DecoderSiteNames = []string{
	"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj",
	"mlp.down_proj",
}

var _ Causal = (*Decoder)(nil)

// HiddenLayers returns the number of layers.
func (m *Decoder) HiddenLayers() int { return m.Layers }

// HiddenSize returns the width of the activations between layers.
func (m *Decoder) HiddenSize() int { return m.Width }

// KeyValueSize returns the width of keys and values, that of all key-value heads.
func (m *Decoder) KeyValueSize() int { return m.KVHeads * m.HeadDim }

// KeyValueHeads returns the number of heads of keys and values.
func (m *Decoder) KeyValueHeads() int { return m.KVHeads }

// Path returns the path of the stack of layers in a checkpoint.
func (m *Decoder) Path() string { return "model" }

// LayerPath returns the path of layer l in a checkpoint.
func (m *Decoder) LayerPath(l int) string { return fmt.Sprintf("model.layers.%d", l) }

// Sites lists the linear layers of all layers in the order of a forward pass.
func (m *Decoder) Sites() []Site { return m.sites }

// Linear returns the linear layer at a site.
func (m *Decoder) Linear(s Site) Linear { return m.blocks[s.Layer].linear[s.Index] }

// Head returns nil: a decoder predicts tokens with the matrix that it was pretrained with.
func (m *Decoder) Head() []*tape.Param { return nil }

// Base lists all parameters in the order of a forward pass. A matrix that is both the embedding and the vocabulary is
// listed once.
func (m *Decoder) Base() []*tape.Param { return m.base }

// Vocabulary returns the matrix [V,C] that multiplies a row of the output to give the logits of the next token.
func (m *Decoder) Vocabulary() *tape.Param { return m.vocabulary }

// Notes says how the weights were converted.
func (m *Decoder) Notes() []string { return m.notes }

// LeadRows returns the number of rows that a method puts in front of the keys of each sequence.
func (m *Decoder) LeadRows() int { return m.lead }

// Lead moves the positions of all tokens behind rows that a method puts in front of the keys of each sequence. It
// returns an error if the model has too few positions.
func (m *Decoder) Lead(dev compute.Device, rows int) error {
	if most := m.MaxTokens() - rows; m.tokens > most {
		return place.Mistake(fmt.Errorf("model: put %d keys in front of each sequence: sequences have up to %d tokens, and "+
			"%s; want at most %d tokens", rows, m.tokens, m.Limit(), max(most, 0)))
	}
	dev.Free(m.angles)
	m.lead, m.angles = rows, m.rope.upload(dev, rows+m.tokens, m.HeadDim, m.Positions)
	return nil
}

// Check returns an error if b has a token without embedding, a sequence that is too long, or rows to read that are not
// ascending rows of the batch.
func (m *Decoder) Check(b Batch) error {
	if b.Continue != nil {
		if err := b.Continue.check(b); err != nil {
			return err
		}
	}
	for i := range b.Len() {
		if l := int(b.Cu[i+1]-b.Cu[i]) + b.past(i); l > m.tokens {
			return fmt.Errorf("model: forward: sequence %d of the batch has %d tokens; want at most %d", i, l, m.tokens)
		}
	}
	for i, id := range b.IDs {
		if id < 0 || int(id) >= m.Vocab {
			return fmt.Errorf("model: forward: token %d has id %d; want 0 to %d", i, id, m.Vocab-1)
		}
	}
	last := int32(-1)
	for i, row := range b.Read {
		if row <= last || int(row) >= len(b.IDs) {
			return fmt.Errorf("model: forward: row %d to read is %d; want ascending rows below %d", i, row, len(b.IDs))
		}
		last = row
	}
	if b.Next != nil && len(b.Next) != len(b.Read) {
		return fmt.Errorf("model: forward: %d rows are read and %d tokens follow them; want one for each",
			len(b.Read), len(b.Next))
	}
	for i, id := range b.Next {
		if id < 0 || int(id) >= m.Vocab {
			return fmt.Errorf("model: forward: the token after row %d has id %d; want 0 to %d", b.Read[i], id, m.Vocab-1)
		}
	}
	return nil
}

// NewPass starts a pass of b through m: it uploads b, and the integers that h needs, to the device of t.
func (m *Decoder) NewPass(t *tape.Tape, b Batch, h Hook) *Pass {
	p := newPass(t, b, h, m.Layers)
	stage := staging{host: m.staging[:0]}
	stage.add(p.batch+1, func(i int) int32 { return b.Cu[i] })
	stage.add(len(b.IDs), func(i int) int32 { return b.IDs[i] })
	stage.add(len(b.IDs), b.position(m.lead))
	stage.add(len(b.Read), func(i int) int32 { return b.Read[i] })
	if b.Continue != nil {
		b.stage(&stage)
	}
	parts := stage.upload(t, h.Inputs(b))
	m.staging = stage.host
	p.cu, p.ids, p.pos, p.Inputs = parts[0], parts[1], parts[2], parts[4:]
	if b.Read != nil {
		p.read = parts[3]
	}
	if b.Continue != nil {
		p.cached, p.Inputs = b.cached(parts[4:]), parts[7:]
	}
	return p
}

// past returns how many tokens of a sequence are in a cache.
func (b Batch) past(sequence int) int {
	if b.Continue == nil {
		return 0
	}
	return b.Continue.Past[sequence]
}

// Forward returns the normalised output of the last layer [R,C] at the rows that the batch reads, or at all rows if it
// names none.
//
// In the last layer, everything after the attention is computed for these rows only. The outputs are the same as if it
// were computed for all rows.
func (m *Decoder) Forward(p *Pass) *tape.Var {
	x := p.Embed(p.ids, compute.Tensor{}, compute.Tensor{}, m.words, nil, nil)
	for l := range m.blocks {
		y := p.Hook.Block(p, l, x, func(x *tape.Var) *tape.Var { return m.block(p, l, x) })
		p.Release(x)
		x = y
	}
	y := p.RMSNorm(x, m.norm, m.Eps)
	p.Release(x)
	return y
}

// block is one pre-norm layer: x + attention(norm(x)), then the same with a gated feed-forward layer.
func (m *Decoder) block(p *Pass, l int, x *tape.Var) *tape.Var {
	k := &m.blocks[l]
	linear := func(i int, x *tape.Var) *tape.Var {
		return p.linear(m.sites[l*len(DecoderSiteNames)+i], k.linear[i], x, compute.Identity)
	}
	a := p.RMSNorm(x, k.norm1, m.Eps)
	query, key, value := linear(siteQ, a), linear(siteK, a), linear(siteV, a)
	p.Release(a)
	query, key = m.rotated(p, query, k.queryNorm), m.rotated(p, key, k.keyNorm)
	kv := p.Hook.KV(p, l, KV{K: key, V: value, Cu: p.cu, Longest: p.longest})
	o := compute.AttnOpts{
		Heads: m.Heads, KVHeads: m.KVHeads, HeadDim: m.HeadDim, CuQ: p.cu, CuK: kv.Cu, MaxQ: p.longest, MaxK: kv.Longest,
		Causal: true, Scale: float32(1 / math.Sqrt(float64(m.HeadDim))),
		Dropout: p.layerMask(l, siteAttention, m.AttentionDropout, query),
	}
	var mixed *tape.Var
	extended := m.lead == 0 && (kv.K != key || kv.V != value)
	if p.cached != nil && !extended {
		mixed = p.cached.attend(p, l, query, kv, o)
	} else {
		mixed = p.Attention(query, kv.K, kv.V, o)
	}
	if p.cached != nil {
		p.cached.extended = p.cached.extended || extended
	}
	p.Release(query, kv.K, kv.V)
	rows := p.Match(x, l)
	if rows != x {
		all := mixed
		mixed = p.Gather(all, p.read)
		p.Release(all)
	}
	out := linear(siteO, mixed)
	p.Release(mixed)
	x1 := m.end(p, l, AttentionHalf, out, rows)
	if rows != x {
		p.Release(rows)
	}
	b := p.RMSNorm(x1, k.norm2, m.Eps)
	gate, up := linear(siteGate, b), linear(siteUp, b)
	p.Release(b)
	z := p.SwiGLU(gate, up)
	p.Release(gate, up)
	down := linear(siteDown, z)
	p.Release(z)
	y := m.end(p, l, FeedForwardHalf, down, x1)
	p.Release(x1)
	return y
}

// rotated returns x, the queries or the keys, with each head normalised by gamma, unless that is nil, and turned by the
// position of its row. It releases x where it does not return it.
func (m *Decoder) rotated(p *Pass, x *tape.Var, gamma *tape.Param) *tape.Var {
	if gamma != nil {
		y := p.RMSNorm(x, gamma, m.Eps)
		p.Release(x)
		x = y
	}
	p.RoPE(x, p.pos, m.angles)
	return x
}

// end is the end of a half of a layer: the hook's, without which out is added to the residual stream.
func (m *Decoder) end(p *Pass, l int, half Half, out, residual *tape.Var) *tape.Var {
	y := p.Hook.Sublayer(p, Sublayer{
		Layer: l, Half: half, Out: out, Residual: residual,
		Norm: func(x *tape.Var, _ compute.Dropout) *tape.Var {
			p.AddTo(x, residual, 1)
			return x
		},
	})
	if y != out {
		p.Release(out)
	}
	return y
}
