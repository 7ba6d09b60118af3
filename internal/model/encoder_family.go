package model

import (
	"strings"

	"github.com/lor2c/lor2c/internal/compute"
)

// These are the types of encoders.
const (
	roberta    = "roberta"
	xlmRoberta = "xlm-roberta"
	camembert  = "camembert"
	bert       = "bert"
	mpnet      = "mpnet"
	distilbert = "distilbert"
)

// encoderFamily is what the encoders of a type have in common and others do not.
type encoderFamily struct {
	class  string // the class of transformers with the head; see forTokens
	prefix string // name of the encoder in a checkpoint of the whole network
	stack  string // name of the stack of layers in the encoder
	// sites has the linear layers of a layer in the order of SiteNames, and norms the LayerNorm behind the attention and
	// the one behind the feed-forward layers.
	sites []string
	norms [2]string
	types bool // the embedding adds the types of tokens
	pad   int  // the default of pad_token_id
	// dense is the layer of the head in front of out, with its activation. The head of BERT reads a pooler instead.
	dense string
	act   compute.Act
	out   string
	// dropsInput is true if the head has a dropout in front of dense.
	dropsInput bool
	// tokens is true if the head is dropout and projection of every token that is read.
	tokens bool
	// afterPad is true if the position of the first token is the one after pad_token_id.
	afterPad bool
}

// mpnetPosition is the position id of MPNet's first token.
const mpnetPosition = 2

// ofRoberta is what RoBERTa and the encoders with its architecture have in common. They have its names too.
func ofRoberta(class string) encoderFamily {
	return encoderFamily{
		class: class, prefix: roberta, stack: "encoder", sites: SiteNames,
		norms: [2]string{"attention.output.LayerNorm", "output.LayerNorm"}, types: true, pad: 1,
		dense: "classifier.dense", act: compute.Tanh, out: "classifier.out_proj", dropsInput: true, afterPad: true,
	}
}

// encoderFamilies has the types of encoders by model_type.
var encoderFamilies = map[string]encoderFamily{
	roberta:    ofRoberta("RobertaForSequenceClassification"),
	xlmRoberta: ofRoberta("XLMRobertaForSequenceClassification"),
	camembert:  ofRoberta("CamembertForSequenceClassification"),
	bert: {
		class: "BertForSequenceClassification", prefix: bert, stack: "encoder", sites: SiteNames,
		norms: [2]string{"attention.output.LayerNorm", "output.LayerNorm"}, types: true,
		out: "classifier",
	},
	mpnet: {
		class: "MPNetForSequenceClassification", prefix: mpnet, stack: "encoder", sites: MPNetSiteNames,
		norms: [2]string{"attention.LayerNorm", "output.LayerNorm"}, pad: 1,
		dense: "classifier.dense", act: compute.Tanh, out: "classifier.out_proj", dropsInput: true,
	},
	distilbert: {
		class: "DistilBertForSequenceClassification", prefix: distilbert, stack: "transformer", sites: DistilBERTSiteNames,
		norms: [2]string{"sa_layer_norm", "output_layer_norm"},
		dense: "pre_classifier", act: compute.ReLU, out: "classifier",
	},
}

func (c Config) family() encoderFamily {
	f := encoderFamilies[c.Type]
	if c.Tokens {
		return f.forTokens()
	}
	return f
}

// forTokens returns f with the head of its class for token classification, which has the same structure and the same
// names in all families: neither a pooler nor a layer in front of the projection.
func (f encoderFamily) forTokens() encoderFamily {
	f.class = strings.Replace(f.class, "ForSequence", "ForToken", 1)
	f.dense, f.out, f.dropsInput, f.tokens = "", "classifier", false, true
	return f
}

// HeadClass returns the class of transformers for an encoder of a model_type with a head for sequences or for tokens.
func HeadClass(modelType string, tokens bool) string {
	return Config{Type: modelType, Tokens: tokens}.family().class
}

// EncoderSites returns the linear layers of a layer of an encoder of a model_type, in the order of SiteNames. It
// returns nil for another model_type.
func EncoderSites(modelType string) []string { return encoderFamilies[modelType].sites }

// NormPaths returns the paths in a checkpoint of the LayerNorms of layer l: the one behind the attention and the one
// behind the feed-forward layers.
func (m *Encoder) NormPaths(l int) (attention, feedForward string) {
	norms := m.family().norms
	return m.LayerPath(l) + "." + norms[0], m.LayerPath(l) + "." + norms[1]
}

// HeadPaths returns the paths in a checkpoint of the two linear layers of the head, of which the first may be a pooler,
// and the activation between them.
func (m *Encoder) HeadPaths() (dense, out string, act compute.Act) {
	f := m.family()
	if f.pools() {
		return m.Prefix + ".pooler.dense", f.out, compute.Tanh
	}
	return f.dense, f.out, f.act
}

// pools reports whether the head reads a pooler, as that of BERT for sequences does. Other encoders have a head with a
// layer of its own.
func (f encoderFamily) pools() bool { return f.dense == "" && !f.tokens }
