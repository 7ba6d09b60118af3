package model

import (
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/tape"
)

// Batch is a micro-batch on the host: packed sequences, no padding.
type Batch struct {
	IDs, Types []int32 // [N]
	Cu         []int32 // cu_seqlens [B+1]
	Labels     []float32
}

// Len returns the number of sequences.
func (b Batch) Len() int { return len(b.Cu) - 1 }

// Pass is one forward pass over one batch: the tape, and the batch as the
// device holds it.
type Pass struct {
	*tape.Tape
	ids, pos, types compute.Tensor // [N] Int
	cu              compute.Tensor // [B+1] Int
	first           compute.Tensor // [B] Int: row of each sequence's first token
	cuFirst         compute.Tensor // [B+1] Int: 0..B, cu_seqlens of those rows
	batch, longest  int
	tokens          int
	last            int // layer
}

// NewPass uploads b to t's device as the start of a pass through m.
func (m *Model) NewPass(t *tape.Tape, b Batch) *Pass {
	n := len(b.IDs)
	p := &Pass{Tape: t, batch: b.Len(), tokens: n, last: len(m.blocks) - 1}
	// One upload: on a device that is not the host every copy has a price. What
	// depends on the sequences comes first, and each part has room by its size
	// class, so that the parts lie where they lay in a batch of nearly as many
	// tokens.
	stage := staging{host: m.staging[:0]}
	cu := stage.add(p.batch+1, func(i int) int32 { return b.Cu[i] })
	cuFirst := stage.add(p.batch+1, func(i int) int32 { return int32(i) })
	ids := stage.add(n, func(i int) int32 { return b.IDs[i] })
	sequence := 0
	pos := stage.add(n, func(i int) int32 {
		for i == int(b.Cu[sequence+1]) {
			sequence++
		}
		return int32(m.firstPosition()+i) - b.Cu[sequence]
	})
	types := stage.add(n, func(i int) int32 { return b.Types[i] })
	m.staging = stage.host
	all := t.Dev.Temp(compute.Shape{len(stage.host)}, compute.Int)
	t.Dev.UploadInts(all, stage.host)
	p.cu, p.cuFirst = all.Slice(cu, compute.Shape{p.batch + 1}), all.Slice(cuFirst, compute.Shape{p.batch + 1})
	p.ids, p.pos, p.types = all.Slice(ids, compute.Shape{n}), all.Slice(pos, compute.Shape{n}), all.Slice(types, compute.Shape{n})
	for i := range p.batch {
		p.longest = max(p.longest, int(b.Cu[i+1]-b.Cu[i]))
	}
	// The row of a sequence's first token is where its cu_seqlens begins.
	p.first = p.cu.View(0, p.batch)
	return p
}

// staging is what one upload carries.
type staging struct{ host []int32 }

// add appends n integers and what is left of their size class, and returns where
// they begin.
func (s *staging) add(n int, at func(i int) int32) (start int) {
	const bytes = 4
	start = len(s.host)
	for i := range n {
		s.host = append(s.host, at(i))
	}
	for len(s.host) < start+int(compute.Class(int64(n)*bytes)/bytes) {
		s.host = append(s.host, 0)
	}
	return start
}

// Places where a pass draws dropout masks. A layer has room for 16.
const (
	sitesPerLayer = 16
	siteEmbedding = 0
	siteHead      = 1 // and 2
	siteLayers    = 16

	siteAttention = 0
	siteSelf      = 1
	siteFF        = 2
	// SiteLoR2C is the dropout on the input of a layer's LoR2C module.
	SiteLoR2C = 3
	// SiteLoRA is the first of the dropouts on the inputs of a layer's LoRA
	// pairs, in the order of SiteNames.
	SiteLoRA = 4
)

// LayerMask names the dropout of one place in layer l, for the rows of x: every
// token's, or in the last layer one a sequence.
func (p *Pass) LayerMask(l int, site uint32, prob float32, x *tape.Var) compute.Dropout {
	return p.Mask(siteLayers+uint32(l)*sitesPerLayer+site, prob, p.row(x))
}

// row is the index within the optimizer step of the first row of x.
func (p *Pass) row(x *tape.Var) int {
	if p.isFirstRows(x) {
		return p.Example
	}
	return p.Row
}

func (p *Pass) isFirstRows(x *tape.Var) bool {
	return x.Value.Shape[0] == p.batch && p.batch != p.tokens
}

// Match returns x, the input of a layer, at the rows that layer l returns: x
// itself, or the first token of each sequence where l is the last layer.
func (p *Pass) Match(x *tape.Var, l int) *tape.Var {
	if l < p.last || p.batch == p.tokens {
		return x
	}
	return p.Gather(x, p.first)
}
