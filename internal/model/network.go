package model

import (
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/tape"
)

// Network is a pretrained network that fine-tuning methods adapt. All its
// layers have the same structure. Methods refer to layers by number and to
// their linear layers as sites.
type Network interface {
	// HiddenLayers returns the number of layers, HiddenSize the width of the activations between them, KeyValueSize the
	// width of the keys, and of the values, of a layer, and KeyValueHeads the number of heads that these have.
	HiddenLayers() int
	HiddenSize() int
	KeyValueSize() int
	KeyValueHeads() int
	// Path returns the path of the stack of layers in a checkpoint, and LayerPath that of layer l.
	Path() string
	LayerPath(l int) string
	// Sites returns the linear layers of all layers in the order of a forward
	// pass.
	Sites() []Site
	// Linear returns the linear layer at a site.
	Linear(Site) Linear
	// Base returns the parameters of the pretrained network in the order of a
	// forward pass. Head returns those that a run trains besides its method and
	// saves with it; there may be none.
	Base() []*tape.Param
	Head() []*tape.Param
	// Check returns an error if the network cannot process b.
	Check(b Batch) error
	// NewPass starts a forward pass: it uploads b and the inputs of h to the
	// device of t. Forward returns the output of the pass, with one row for each
	// row that is read.
	NewPass(t *tape.Tape, b Batch, h Hook) *Pass
	Forward(p *Pass) *tape.Var
	// Notes returns lines for people about how the network was loaded.
	Notes() []string
}

var _ Network = (*Encoder)(nil)

// Causal is a Network whose output at a row predicts the token after that row.
type Causal interface {
	Network
	// Vocabulary returns the matrix [V,C] that multiplies a row of the output to give the logits of the next token.
	Vocabulary() *tape.Param
}

// Leader is a Network that a method can give rows in front of the keys of each sequence, behind which the positions of
// its tokens begin. Other networks leave the tokens at their positions.
type Leader interface {
	Network
	// Lead gives the network such rows. Hook.KV puts them there.
	Lead(dev compute.Device, rows int) error
}

var _ Leader = (*Decoder)(nil)

// Linear is a weight [M,K] with its bias [M], which may be nil.
type Linear struct{ W, B *tape.Param }

// Site is one linear layer that a method can act on.
type Site struct {
	Layer int
	Index int    // index of the linear layer within its layer, from 0
	Name  string // path within the layer, which is compared with target modules
	Path  string // path in a checkpoint
}

// These are the names of the linear layers of a layer of BERT and RoBERTa.
const (
	Query           = "attention.self.query"
	Key             = "attention.self.key"
	Value           = "attention.self.value"
	AttentionOutput = "attention.output.dense"
	Intermediate    = "intermediate.dense"
	Output          = "output.dense"
)

// SiteNames has the linear layers of a layer of BERT and RoBERTa in the order of a
// forward pass. MPNetSiteNames and DistilBERTSiteNames have those of MPNet and of DistilBERT.
var (
	SiteNames      = []string{Query, Key, Value, AttentionOutput, Intermediate, Output}
	MPNetSiteNames = []string{"attention.attn.q", "attention.attn.k", "attention.attn.v", "attention.attn.o", Intermediate,
		Output}
	DistilBERTSiteNames = []string{"attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin",
		"ffn.lin1", "ffn.lin2"}
)
