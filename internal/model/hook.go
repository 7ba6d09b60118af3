package model

import (
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/tape"
)

// Half is one half of a block.
type Half int

// These are the halves of a block, in the order of a forward pass.
const (
	AttentionHalf Half = iota
	FeedForwardHalf
)

// Sublayer is the end of one half of a layer: its residual connection and its norm.
type Sublayer struct {
	Layer    int
	Half     Half
	Out      *tape.Var       // [N,C]: the output of the half's last linear layer
	Residual *tape.Var       // [N,C]
	Drop     compute.Dropout // acts on Out
	// Norm returns LayerNorm(Residual + dropout(x)) [N,C] for x [N,C]. It takes over the storage of x, so that x
	// must not be read afterwards. It may be called again with another x.
	Norm func(x *tape.Var, drop compute.Dropout) *tape.Var
}

// KV has the keys and values to which the queries of a layer attend.
type KV struct {
	K, V    *tape.Var      // [NK, HKV*D]
	Cu      compute.Tensor // [B+1] Int: the row at which the keys of each sequence begin
	Longest int            // number of keys of the longest sequence
}

// Hook is the part of a fine-tuning method in one forward pass. A Pass has a
// Hook. A Hook embeds Base and overrides what the method needs.
type Hook interface {
	// Inputs returns integers that the method needs on the device during the pass over b. They are uploaded
	// together with the batch; Pass.Inputs has one tensor for each of them.
	Inputs(b Batch) [][]int32
	// Adapts reports whether Linear does anything at s. If not, the model computes
	// the linear layer together with its activation.
	Adapts(s Site) bool
	// Input returns what the linear layer at s reads in place of x [N,K], its input in the network.
	Input(p *Pass, s Site, x *tape.Var) *tape.Var
	// Linear may add to y [N,M] in place. y is the output of the frozen linear
	// layer at s before any activation, and x [N,K] is its input.
	Linear(p *Pass, s Site, x, y *tape.Var)
	// KV may extend the keys and values of layer l.
	KV(p *Pass, l int, kv KV) KV
	// Sublayer ends a half of a layer. Without a method its result is
	// s.Norm(s.Out, s.Drop).
	Sublayer(p *Pass, s Sublayer) *tape.Var
	// Block computes layer l from its input h [N,C]. next(h) computes the layer
	// itself. The last layer returns only the rows that the head reads; Pass.Match
	// reduces an input to the rows that a layer returns.
	Block(p *Pass, l int, h *tape.Var, next func(*tape.Var) *tape.Var) *tape.Var
	// Loss adds the method's terms to loss [1] before the gradient is computed.
	// out is the output of the forward pass, and scale is the factor of the task's
	// loss. again runs the same batch through the network a second time on the
	// same tape.
	Loss(p *Pass, out *tape.Var, again func() *tape.Var, loss compute.Tensor, scale float32)
}

// Base is the Hook that changes nothing.
type Base struct{}

// Inputs returns nil.
func (Base) Inputs(Batch) [][]int32 { return nil }

// Adapts returns false.
func (Base) Adapts(Site) bool { return false }

// Input returns x.
func (Base) Input(_ *Pass, _ Site, x *tape.Var) *tape.Var { return x }

// Linear leaves y unchanged.
func (Base) Linear(*Pass, Site, *tape.Var, *tape.Var) {}

// KV returns kv.
func (Base) KV(_ *Pass, _ int, kv KV) KV { return kv }

// Sublayer returns s.Norm(s.Out, s.Drop).
func (Base) Sublayer(_ *Pass, s Sublayer) *tape.Var { return s.Norm(s.Out, s.Drop) }

// Block returns next(h).
func (Base) Block(_ *Pass, _ int, h *tape.Var, next func(*tape.Var) *tape.Var) *tape.Var {
	return next(h)
}

// Loss adds nothing.
func (Base) Loss(*Pass, *tape.Var, func() *tape.Var, compute.Tensor, float32) {}
