package model

import (
	"fmt"

	"github.com/lor2c/lor2c/internal/tape"
)

// Site names one linear layer that an adapter can act on.
type Site struct {
	Layer int
	Name  string // path within the layer, as in the checkpoint
}

// The linear layers of an encoder block.
const (
	Query           = "attention.self.query"
	Key             = "attention.self.key"
	Value           = "attention.self.value"
	AttentionOutput = "attention.output.dense"
	Intermediate    = "intermediate.dense"
	Output          = "output.dense"
)

// SiteNames lists the linear layers of a block in the order of a forward pass.
var SiteNames = []string{Query, Key, Value, AttentionOutput, Intermediate, Output}

// String returns the site's path within the encoder.
func (s Site) String() string { return fmt.Sprintf("encoder.layer.%d.%s", s.Layer, s.Name) }

// Hook is how an adapter takes part in one forward pass. Embed Base and
// override what the method needs.
type Hook interface {
	// Adapts reports whether Linear does anything at s, which the model asks
	// because a layer that is left alone runs fused with its activation.
	Adapts(s Site) bool
	// Linear may change y [N,M], the frozen layer's output at s before any
	// activation, in place; x [N,K] is the layer's input.
	Linear(p *Pass, s Site, x, y *tape.Var)
	// Block computes layer l from its input h [N,C]; next(h) is the layer
	// itself. The last layer returns one row per sequence, [B,C]: use
	// Pass.Match to bring an input to the rows that a layer returns.
	Block(p *Pass, l int, h *tape.Var, next func(*tape.Var) *tape.Var) *tape.Var
}

// Base is the Hook that changes nothing.
type Base struct{}

// Adapts returns false.
func (Base) Adapts(Site) bool { return false }

// Linear leaves y alone.
func (Base) Linear(*Pass, Site, *tape.Var, *tape.Var) {}

// Block returns next(h).
func (Base) Block(_ *Pass, _ int, h *tape.Var, next func(*tape.Var) *tape.Var) *tape.Var {
	return next(h)
}
