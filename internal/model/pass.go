package model

import (
	"fmt"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/tape"
)

// Batch is a micro-batch on the host. It has packed sequences without padding,
// and either labels or next tokens.
type Batch struct {
	IDs, Types []int32 // [N]
	Cu         []int32 // cu_seqlens [B+1]
	// Labels has a class or a number for each row of the output; see Rows.
	Labels []float32
	// Read lists the rows that a causal network or a head for tokens returns, in ascending order. Next has the token that
	// follows each in a causal network.
	Read, Next []int32
	// Continue, if it is set, makes the sequences continue others whose keys and values a cache holds. Only a decoder
	// outside of training can continue.
	Continue *Continuation
}

// Len returns the number of sequences.
func (b Batch) Len() int { return len(b.Cu) - 1 }

// Rows returns the number of rows of a network's output for b: those of Read, or without it one for each sequence.
func (b Batch) Rows() int {
	if b.Read == nil {
		return b.Len()
	}
	return len(b.Read)
}

// Ends returns, for each sequence, the number of rows of Read up to its end.
func (b Batch) Ends() []int {
	ends := make([]int, b.Len())
	at := 0
	for i, end := range b.Cu[1:] {
		for at < len(b.Read) && b.Read[at] < end {
			at++
		}
		ends[i] = at
	}
	return ends
}

// Pass is one forward pass over one batch. It has the tape, the method's hook,
// and the batch on the device.
type Pass struct {
	*tape.Tape
	// Hook is the method's part of this pass.
	Hook Hook
	// Inputs has, for each slice that Hook.Inputs returned, a tensor [n] Int.
	Inputs          []compute.Tensor
	ids, pos, types compute.Tensor // [N] Int
	cu              compute.Tensor // [B+1] Int
	read            compute.Tensor // [R] Int: the rows that the last layer returns, such as first tokens; absent for all
	tokens          compute.Tensor // [R] Int: the rows that a head for tokens reads
	cuRead          compute.Tensor // [B+1] Int: 0..B, cu_seqlens of the first tokens of an encoder
	batch, longest  int
	cached          *cached // nil unless the batch continues sequences
	last            int     // index of the last layer
}

// NewPass starts a pass of b through m: it uploads b, and the integers that h
// needs, to the device of t.
func (m *Encoder) NewPass(t *tape.Tape, b Batch, h Hook) *Pass {
	p := newPass(t, b, h, len(m.blocks))
	// Everything is copied in one upload, because each copy to a GPU costs time. Parts
	// whose size depends on the number of sequences come first, and each part is padded
	// to its size class, so that its offset is the same for batches of similar size.
	stage := staging{host: m.staging[:0]}
	stage.add(p.batch+1, func(i int) int32 { return b.Cu[i] })
	stage.add(p.batch+1, func(i int) int32 { return int32(i) })
	stage.add(len(b.IDs), func(i int) int32 { return b.IDs[i] })
	stage.add(len(b.IDs), b.position(m.FirstPosition()))
	if m.types != nil {
		stage.add(len(b.IDs), func(i int) int32 { return b.Types[i] })
	}
	if m.Tokens {
		stage.add(len(b.Read), func(i int) int32 { return b.Read[i] })
	}
	parts := stage.upload(t, h.Inputs(b))
	m.staging = stage.host
	p.cu, p.cuRead, p.ids, p.pos, p.Inputs = parts[0], parts[1], parts[2], parts[3], parts[4:]
	if m.types != nil {
		p.types, p.Inputs = p.Inputs[0], p.Inputs[1:]
	}
	if m.Tokens {
		p.tokens, p.Inputs = p.Inputs[0], p.Inputs[1:]
		return p
	}
	// cu_seqlens has the row of each sequence's first token.
	p.read = p.cu.View(0, p.batch)
	return p
}

// newPass returns a pass over b without the tensors of the batch.
func newPass(t *tape.Tape, b Batch, h Hook, layers int) *Pass {
	p := &Pass{Tape: t, Hook: h, batch: b.Len(), last: layers - 1}
	for i := range p.batch {
		p.longest = max(p.longest, int(b.Cu[i+1]-b.Cu[i]))
	}
	return p
}

// position returns a function that, called with 0, 1, 2 and so on, returns the position of each token in its sequence,
// counted from first.
func (b Batch) position(first int) func(i int) int32 {
	sequence := 0
	return func(i int) int32 {
		for i == int(b.Cu[sequence+1]) {
			sequence++
		}
		return int32(first+b.past(sequence)+i) - b.Cu[sequence]
	}
}

// staging collects the integers of one upload.
type staging struct {
	host            []int32
	starts, lengths []int
}

// add appends n integers, padded to their size class.
func (s *staging) add(n int, at func(i int) int32) {
	const bytes = 4
	start := len(s.host)
	for i := range n {
		s.host = append(s.host, at(i))
	}
	for len(s.host) < start+int(compute.Class(int64(n)*bytes)/bytes) {
		s.host = append(s.host, 0)
	}
	s.starts, s.lengths = append(s.starts, start), append(s.lengths, n)
}

// upload adds the inputs of a method, copies everything to the device of t, and returns a tensor for each part.
func (s *staging) upload(t *tape.Tape, inputs [][]int32) (parts []compute.Tensor) {
	for _, ints := range inputs {
		s.add(len(ints), func(j int) int32 { return ints[j] })
	}
	all := t.Dev.Temp(compute.Shape{len(s.host)}, compute.Int)
	t.Dev.UploadInts(all, s.host)
	for i, start := range s.starts {
		parts = append(parts, all.Slice(start, compute.Shape{s.lengths[i]}))
	}
	return parts
}

// These are the sites at which a pass draws dropout masks. Each layer has
// sitesPerLayer of them: the layer's own dropouts first, then MethodSites for
// the method.
const (
	siteEmbedding = 0
	siteHead      = 1 // and the next one
	siteLayers    = 16

	siteAttention = 0
	siteSelf      = 1
	siteFF        = 2
	siteMethod    = 3

	sitesPerLayer = 16
	// MethodSites is the number of dropout masks that a method may draw in each layer.
	MethodSites = sitesPerLayer - siteMethod
)

// MethodMask returns dropout mask number i, below MethodSites, of the method in
// layer l, for the rows of x. A method numbers its masks itself: two dropouts
// with the same layer and number have the same mask.
func (p *Pass) MethodMask(l, i int, prob float32, x *tape.Var) compute.Dropout {
	if i < 0 || i >= MethodSites {
		panic(fmt.Sprintf("model: the method uses mask %d of a layer, which has %d", i, MethodSites))
	}
	return p.layerMask(l, siteMethod+uint32(i), prob, x)
}

// layerMask returns the dropout at one site of layer l, for the rows of x.
func (p *Pass) layerMask(l int, site uint32, prob float32, x *tape.Var) compute.Dropout {
	return p.Mask(siteLayers+uint32(l)*sitesPerLayer+site, prob, x.FirstRow)
}

// Match returns x, the input of a layer, at the rows that layer l returns: x itself, or where l is the last layer the
// rows that are read, if those are not all.
func (p *Pass) Match(x *tape.Var, l int) *tape.Var {
	if l < p.last || !p.read.Present() {
		return x
	}
	return p.Gather(x, p.read)
}
