package model

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/lor2c/lor2c/internal/bitsandbytes"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/infile"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/strictjson"
)

// Config has the fields of a Hugging Face config.json that an encoder needs.
type Config struct {
	Type              string   `json:"model_type"` // a key of encoderFamilies
	Width             int      `json:"hidden_size"`
	Layers            int      `json:"num_hidden_layers"`
	Heads             int      `json:"num_attention_heads"`
	FF                int      `json:"intermediate_size"`
	Vocab             int      `json:"vocab_size"`
	Positions         int      `json:"max_position_embeddings"`
	Types             int      `json:"type_vocab_size"`
	PadID             *int     `json:"pad_token_id"`
	Eps               float32  `json:"layer_norm_eps"`
	Activation        string   `json:"hidden_act"`
	HiddenDropout     float32  `json:"hidden_dropout_prob"`
	AttentionDropout  float32  `json:"attention_probs_dropout_prob"`
	ClassifierDropout *float32 `json:"classifier_dropout"`
	PositionKind      string   `json:"position_embedding_type"`
	Decoder           bool     `json:"is_decoder"` // causal attention
	// Buckets is the number of rows of MPNet's table of relative positions, and 0 for other encoders.
	Buckets int            `json:"relative_attention_num_buckets,omitempty"`
	Labels  map[string]any `json:"id2label"`
	// Tokens says that the head classifies the tokens that are read, and not sequences.
	Tokens bool `json:"-"`
	// FourBit has the names of the weights of linear layers that the file has in four bits; CheckWeights sets it.
	FourBit map[string]bool `json:"-"`
}

// activations maps values of hidden_act to the activations of devices.
var activations = map[string]compute.Act{
	"gelu": compute.GELU, "gelu_new": compute.GELUTanh, "gelu_pytorch_tanh": compute.GELUTanh, "relu": compute.ReLU,
}

const configFile = "config.json"

// ReadConfig reads dir/config.json. It returns an error that names every field with a
// value that this package does not support. It does not compare the sizes with the
// weights, which [CheckWeights] does.
func ReadConfig(dir string) (Config, error) {
	path, raw, err := readConfigFile(dir)
	if err != nil {
		return Config{}, err
	}
	// Hugging Face leaves out fields that have their default value.
	c := Config{Eps: 1e-12, Activation: "gelu", HiddenDropout: 0.1, AttentionDropout: 0.1, PositionKind: "absolute",
		Types: 2, Positions: 512, Buckets: relativeBuckets}
	if err := strictjson.Unmarshal(raw, &c); err != nil {
		return Config{}, fmt.Errorf("model: read %s:%w; want the JSON that transformers writes", path, err)
	}
	c.dropUnused()
	if c.Type == distilbert {
		if err := c.readDistilBERT(raw); err != nil {
			return Config{}, fmt.Errorf("model: read %s:%w; want the JSON that transformers writes", path, err)
		}
	}
	var stored struct {
		Quantization json.RawMessage `json:"quantization_config"`
	}
	if err := strictjson.Unmarshal(raw, &stored); err != nil {
		return Config{}, fmt.Errorf("model: read %s:%w; want the JSON that transformers writes", path, err)
	}
	faults := c.validate()
	if err := bitsandbytes.CheckConfig(stored.Quantization); err != nil {
		faults = append(faults, err)
	}
	if faults != nil {
		for i, fault := range faults {
			faults[i] = fmt.Errorf("model: read %s: %w", path, fault)
		}
		return Config{}, errors.Join(faults...)
	}
	return c, nil
}

// readConfigFile returns the path and the text of dir/config.json.
func readConfigFile(dir string) (path string, raw []byte, err error) {
	path = filepath.Join(dir, configFile)
	raw, err = infile.ReadIn(dir, configFile, infile.Config)
	if errors.Is(err, fs.ErrNotExist) {
		return path, nil,
			place.Mistake(fmt.Errorf("model: open %s: it has no config.json; name a Hugging Face model directory", dir))
	}
	if err != nil {
		return path, nil, fmt.Errorf("model: open %s: %w", path, err)
	}
	if what := infile.Describe(raw[:min(len(raw), 64)]); what != "" {
		return path, nil, fmt.Errorf("model: read %s: it is not JSON but %s", path, what)
	}
	return path, raw, nil
}

// dropUnused removes the values of fields that encoders of c's type do not have.
func (c *Config) dropUnused() {
	if c.Type != mpnet {
		c.Buckets = 0
		return
	}
	c.Types, c.ClassifierDropout, c.PositionKind = 0, nil, ""
}

func (c Config) validate() (faults []error) {
	fault := func(ok bool, format string, a ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, a...))
		}
	}
	f, known := encoderFamilies[c.Type]
	fault(known, "model_type is %s; want roberta, xlm-roberta, camembert, bert, mpnet or distilbert", place.Quote(c.Type))
	for _, d := range []struct {
		key   string
		value int
	}{
		{"hidden_size", c.Width}, {"num_hidden_layers", c.Layers}, {"num_attention_heads", c.Heads},
		{"intermediate_size", c.FF}, {"vocab_size", c.Vocab}, {"max_position_embeddings", c.Positions},
		{"type_vocab_size", c.Types},
	} {
		fault(d.value > 0 || d.key == "type_vocab_size" && known && !f.types, "%s is %d; want at least 1", c.key(d.key),
			d.value)
	}
	fault(c.Type != mpnet || c.Buckets == relativeBuckets,
		"relative_attention_num_buckets is %d; want %d, the number for which transformers computes the buckets", c.Buckets,
		relativeBuckets)
	fault(c.Heads <= 0 || c.Width%c.Heads == 0,
		"%s %d is not a multiple of %s %d; want equal heads", c.key("hidden_size"), c.Width, c.key("num_attention_heads"),
		c.Heads)
	_, ok := activations[c.Activation]
	fault(ok, "%s is %s; want gelu, gelu_new, gelu_pytorch_tanh or relu", c.key("hidden_act"), place.Quote(c.Activation))
	fault(c.PositionKind == "absolute" ||
		c.PositionKind == "", "position_embedding_type is %s; want absolute", place.Quote(c.PositionKind))
	fault(!c.Decoder, "is_decoder is true; want an encoder")
	fault(c.Eps > 0, "layer_norm_eps is %g; want more than 0", c.Eps)
	for _, p := range []struct {
		key   string
		value float32
	}{
		{"hidden_dropout_prob", c.HiddenDropout}, {"attention_probs_dropout_prob", c.AttentionDropout},
		{"classifier_dropout", c.classifierDropout()},
	} {
		if p.key == "classifier_dropout" && c.ClassifierDropout == nil {
			continue // it is not set, so that the dropout of the hidden layers is used
		}
		fault(p.value >= 0 && p.value < 1, "%s is %g; want at least 0 and less than 1", c.key(p.key), p.value)
	}
	fault(c.padID() >= 0, "pad_token_id is %d; want at least 0", c.padID())
	fault(!f.afterPad || c.FirstPosition() < c.Positions,
		"pad_token_id %d leaves no room in %d positions; want a smaller one", c.padID(), c.Positions)
	fault(c.Type != mpnet || c.FirstPosition() < c.Positions,
		"max_position_embeddings is %d; want more than %d, the number of the first position", c.Positions, mpnetPosition)
	return faults
}

func (c Config) padID() int {
	if c.PadID != nil {
		return *c.PadID
	}
	return c.family().pad
}

// FirstPosition returns the position id of a sequence's first token. RoBERTa starts
// after the padding id, and MPNet as if that were 1, whatever it is.
func (c Config) FirstPosition() int {
	switch {
	case c.family().afterPad:
		return c.padID() + 1
	case c.Type == mpnet:
		return mpnetPosition
	}
	return 0
}

// MaxTokens returns the number of tokens of the longest sequence for which the position
// table has rows.
func (c Config) MaxTokens() int { return c.Positions - c.FirstPosition() }

// classifierDropout returns the dropout of the head, which is that of the hidden layers
// if classifier_dropout is not set.
func (c Config) classifierDropout() float32 {
	if c.ClassifierDropout != nil {
		return *c.ClassifierDropout
	}
	return c.HiddenDropout
}

// tokenDropout returns the dropout of a head for tokens. That of DistilBERT does not use seq_classif_dropout.
func (c Config) tokenDropout() float32 {
	if c.Type == distilbert {
		return c.HiddenDropout
	}
	return c.classifierDropout()
}

// Identity returns the fields of c that change the outputs of the model, as
// JSON values by their keys in config.json. Fields that are not set have their
// defaults. The names of the classes, which determine whether and in which
// order a run uses the head of the model, are represented by their number and
// checksum.
func (c Config) Identity() map[string]string {
	names := "none"
	if c.Labels != nil {
		raw, err := json.Marshal(c.Labels)
		if err != nil {
			panic(err) // it was decoded from JSON
		}
		names = fmt.Sprintf("%d with the SHA-256 %.6x", len(c.Labels), sha256.Sum256(raw))
	}
	pad, dropout := c.padID(), c.classifierDropout()
	c.PadID, c.ClassifierDropout, c.PositionKind, c.Labels = &pad, &dropout, "absolute", nil
	raw, err := json.Marshal(c)
	var fields map[string]json.RawMessage
	if err == nil {
		err = json.Unmarshal(raw, &fields)
	}
	if err != nil {
		panic(err) // numbers, strings and booleans can always be marshalled, and the floats here are finite
	}
	delete(fields, "id2label")
	values := map[string]string{"id2label": names}
	for key, value := range fields {
		values[c.key(key)] = string(value)
	}
	return values
}
