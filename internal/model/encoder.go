// Package model has the pretrained networks: encoders with a classification head (BERT, DistilBERT, RoBERTa and those
// of its architecture, MPNet), and decoders of the LLaMA family, read from Hugging Face model directories and run over
// packed batches.
//
// It does not depend on the fine-tuning methods. A method adapts a Network and takes part in a pass as a Hook, which is
// called at every linear layer, at the end of every half of a layer, and at every layer.
package model

import (
	"errors"
	"fmt"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/tape"
)

type norm struct{ gamma, beta *tape.Param }

// Encoder is an encoder of one of the families, with its classification head.
type Encoder struct {
	Config
	// Prefix is the encoder's name in a checkpoint of the whole network.
	Prefix string
	// HeadOrigin is the origin of the head's values.
	HeadOrigin            HeadOrigin
	word, position, types *tape.Param // types is nil for MPNet and DistilBERT
	relative              relative    // MPNet
	norm                  norm
	blocks                []block
	sites                 []Site
	pooler                Linear // BERT
	dense                 Linear // the head of the others, unless it is one for tokens
	out                   Linear
	head, base            []*tape.Param
	act                   compute.Act
	staging               []int32
}

// HiddenLayers returns the number of layers.
func (m *Encoder) HiddenLayers() int { return m.Layers }

// HiddenSize returns the width of the activations between layers.
func (m *Encoder) HiddenSize() int { return m.Width }

// KeyValueSize returns the width of keys and values.
func (m *Encoder) KeyValueSize() int { return m.Width }

// KeyValueHeads returns the number of heads.
func (m *Encoder) KeyValueHeads() int { return m.Heads }

// Path returns the path of the stack of layers in a checkpoint, for example roberta.encoder.
func (m *Encoder) Path() string { return m.Prefix + "." + m.family().stack }

// LayerPath returns the path of layer l in a checkpoint.
func (m *Encoder) LayerPath(l int) string { return fmt.Sprintf("%s.layer.%d", m.Path(), l) }

// Sites returns the linear layers of all layers in the order of SiteNames.
func (m *Encoder) Sites() []Site { return m.sites }

// Linear returns the linear layer at a site.
func (m *Encoder) Linear(s Site) Linear { return m.blocks[s.Layer].linear[s.Index] }

// Head returns the parameters of the classification head, which a run trains
// besides its adapter and saves with it.
func (m *Encoder) Head() []*tape.Param { return m.head }

// Base returns all other parameters, in the order of a forward pass.
func (m *Encoder) Base() []*tape.Param { return m.base }

// BiasesDistances reports whether attention adds a bias for the distance of a key from its query, as MPNet's does.
func (m *Encoder) BiasesDistances() bool { return m.relative.bias != nil }

// Notes returns a line about the origin of the head's values, and one about weights in four bits if there are any.
func (m *Encoder) Notes() []string {
	return append([]string{fmt.Sprintf("classification head: %v", m.HeadOrigin)}, fourBitNote(m.FourBit)...)
}

// Outputs returns the width of the logits: classes, or 1 for regression.
func (m *Encoder) Outputs() int { return m.out.W.Value.Shape[0] }

// Forward returns the logits of the pass's batch: [B, Outputs], one row for each
// sequence, or with a head for tokens one row for each row of Batch.Read.
//
// A head for sequences reads only the first token of each. The last layer therefore
// computes keys and values for all rows, and everything else only for the B rows of
// first tokens. The logits are the same as if it computed all rows. Most tokens are
// read by a head for tokens, for which the last layer computes all rows.
func (m *Encoder) Forward(p *Pass) *tape.Var {
	e := p.Embed(p.ids, p.pos, p.types, m.word, m.position, m.types)
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
	if m.Tokens {
		rows := p.Gather(x, p.tokens)
		p.Release(x)
		x = rows
	}
	return m.classify(p, x)
}

// classify computes the head as Hugging Face does. For tokens it is dropout and
// projection. For sequences it depends on the family: for RoBERTa and MPNet it is dropout,
// dense, tanh, dropout and projection; for BERT it is the pooler (dense, tanh), dropout
// and projection; for DistilBERT it is dense, ReLU, dropout and projection.
func (m *Encoder) classify(p *Pass, x *tape.Var) *tape.Var {
	f := m.family()
	if f.tokens {
		x = p.Dropout(x, p.Mask(siteHead, m.tokenDropout(), p.Read))
		return p.Linear(x, m.out.W, m.out.B, compute.Identity)
	}
	if f.dropsInput {
		x = p.Dropout(x, p.Mask(siteHead, m.classifierDropout(), p.Read))
	}
	if f.pools() {
		x = p.Linear(x, m.pooler.W, m.pooler.B, compute.Tanh)
	} else {
		x = p.Linear(x, m.dense.W, m.dense.B, f.act)
	}
	x = p.Dropout(x, p.Mask(siteHead+1, m.classifierDropout(), p.Read))
	return p.Linear(x, m.out.W, m.out.B, compute.Identity)
}

// Check returns an error if b has a token or token type outside its embedding table,
// a sequence longer than the position table, or nothing that a head for tokens reads.
func (m *Encoder) Check(b Batch) error {
	if m.Tokens && len(b.Read) == 0 {
		return errors.New("model: forward: the batch has no token to classify; want at least one")
	}
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
	if m.types == nil {
		return nil
	}
	for i, id := range b.Types {
		if id < 0 || int(id) >= m.Types {
			return fmt.Errorf("model: forward: token %d has type %d; want 0 to %d", i, id, m.Types-1)
		}
	}
	return nil
}
