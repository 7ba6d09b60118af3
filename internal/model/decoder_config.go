package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/lor2c/lor2c/internal/bitsandbytes"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/strictjson"
)

// DecoderConfig has the fields of a Hugging Face config.json that a decoder of the LLaMA family needs.
type DecoderConfig struct {
	Type             string  `json:"model_type"`
	Width            int     `json:"hidden_size"`
	FF               int     `json:"intermediate_size"`
	Layers           int     `json:"num_hidden_layers"`
	Heads            int     `json:"num_attention_heads"`
	KVHeads          int     `json:"num_key_value_heads"` // 0 means as many as Heads
	HeadDim          int     `json:"head_dim"`            // 0 means Width/Heads
	Vocab            int     `json:"vocab_size"`
	Positions        int     `json:"max_position_embeddings"`
	Eps              float32 `json:"rms_norm_eps"`
	Activation       string  `json:"hidden_act"`
	AttentionDropout float32 `json:"attention_dropout"`
	Tied             bool    `json:"tie_word_embeddings"`
	AttentionBias    bool    `json:"attention_bias"`
	MLPBias          bool    `json:"mlp_bias"`
	Window           int     `json:"-"` // the longest sequence for which a sliding window has no effect; 0 without one
	// Stored is how a device may store the matrices without a loss, if the file has all of them in two bytes: BFloat16 or
	// Float16 instead of Working.
	Stored compute.DType `json:"-"`
	// FourBit has the names of the weights of linear layers that the file has in four bits; CheckDecoderWeights sets it.
	FourBit map[string]bool `json:"-"`
	rope    rope
	head    int // row of the family in families
}

// family is how one model_type differs from LLaMA.
type family struct {
	name     string
	defaults DecoderConfig
	qkvBias  bool // queries, keys and values always have a bias, and the output never
	headNorm bool // queries and keys are normalised by head
	// windowed says that a sliding window is used unless the file switches it off; optIn, that use_sliding_window
	// switches it on.
	windowed, optIn bool
}

// families lists the types of decoders with the defaults of transformers, which leaves out keys that have them.
var families = []family{
	{name: "llama", defaults: DecoderConfig{FF: 11008, Vocab: 32000, Positions: 2048}},
	{name: "mistral", defaults: DecoderConfig{FF: 14336, Vocab: 32000, KVHeads: 8, Positions: 131072}, windowed: true},
	{name: "qwen2", defaults: DecoderConfig{FF: 22016, Vocab: 151936, KVHeads: 32, Positions: 32768},
		qkvBias: true, optIn: true},
	{name: "qwen3", defaults: DecoderConfig{FF: 22016, Vocab: 151936, KVHeads: 32, HeadDim: 128, Positions: 32768},
		headNorm: true, optIn: true},
}

// DecoderTypes lists the values of model_type of decoders.
func DecoderTypes() (names []string) {
	for _, f := range families {
		names = append(names, f.name)
	}
	return names
}

// Window of mistral when the key is absent.
const defaultWindow = 4096

// ReadDecoderConfig reads dir/config.json of a decoder. It returns an error that names every field with a value that
// this package does not support.
func ReadDecoderConfig(dir string) (DecoderConfig, error) {
	path, raw, err := readConfigFile(dir)
	if err != nil {
		return DecoderConfig{}, err
	}
	var kind struct {
		Type string `json:"model_type"`
	}
	fields := map[string]json.RawMessage{}
	for _, v := range []any{&kind, &fields} {
		if err := strictjson.Unmarshal(raw, v); err != nil {
			return DecoderConfig{}, fmt.Errorf("model: read %s:%w; want the JSON that transformers writes", path, err)
		}
	}
	at := slices.IndexFunc(families, func(f family) bool { return f.name == kind.Type })
	if at < 0 {
		return DecoderConfig{}, place.Mistake(fmt.Errorf("model: read %s: model_type is %s; want one of %s", path,
			place.Quote(kind.Type), place.List(DecoderTypes())))
	}
	c := families[at].defaults
	c.Width, c.Layers, c.Heads, c.Eps, c.Activation = 4096, 32, 32, 1e-6, "silu"
	// A key that is null keeps its default.
	if err := strictjson.Unmarshal(raw, &c); err != nil {
		return DecoderConfig{}, fmt.Errorf("model: read %s:%w; want the JSON that transformers writes", path, err)
	}
	c.head = at
	var faults []error
	if c.rope, err = parseRoPE(fields, 1e4); err != nil {
		faults = append(faults, err)
	}
	if err := c.window(raw); err != nil {
		faults = append(faults, err)
	}
	if faults = append(faults, c.validate(fields)...); faults != nil {
		for i, fault := range faults {
			faults[i] = fmt.Errorf("model: read %s: %w", path, fault)
		}
		return DecoderConfig{}, errors.Join(faults...)
	}
	return c, nil
}

// window sets Window from the text of the file.
func (c *DecoderConfig) window(raw []byte) error {
	f := families[c.head]
	if !f.windowed && !f.optIn {
		return nil
	}
	var keys struct {
		Window *int     `json:"sliding_window"`
		Use    bool     `json:"use_sliding_window"`
		Kinds  []string `json:"layer_types"`
	}
	present := map[string]json.RawMessage{}
	if err := errors.Join(strictjson.Unmarshal(raw, &keys), strictjson.Unmarshal(raw, &present)); err != nil {
		return fmt.Errorf("%w; want the sliding window that transformers writes", strictjson.WithoutPlace(err))
	}
	if _, there := present["sliding_window"]; !there && f.windowed {
		c.Window = defaultWindow
	}
	if keys.Window != nil && (f.windowed || keys.Use) {
		c.Window = *keys.Window
		if c.Window < 1 {
			return fmt.Errorf("sliding_window is %d; want at least 1, or null for none", c.Window)
		}
	}
	if keys.Kinds != nil && !slices.Contains(keys.Kinds, "sliding_attention") {
		c.Window = 0
	}
	return nil
}

func (c *DecoderConfig) validate(fields map[string]json.RawMessage) (faults []error) {
	fault := func(ok bool, format string, a ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, a...))
		}
	}
	if err := bitsandbytes.CheckConfig(fields["quantization_config"]); err != nil {
		faults = append(faults, err)
	}
	if c.KVHeads == 0 {
		c.KVHeads = c.Heads
	}
	for _, d := range []struct {
		key   string
		value int
	}{
		{"hidden_size", c.Width}, {"num_hidden_layers", c.Layers}, {"num_attention_heads", c.Heads},
		{"num_key_value_heads", c.KVHeads}, {"intermediate_size", c.FF}, {"vocab_size", c.Vocab},
		{"max_position_embeddings", c.Positions},
	} {
		fault(d.value > 0, "%s is %d; want at least 1", d.key, d.value)
	}
	if c.Heads <= 0 || c.KVHeads <= 0 {
		return faults
	}
	fault(c.Heads%c.KVHeads == 0, "num_attention_heads %d is not a multiple of num_key_value_heads %d", c.Heads, c.KVHeads)
	if c.HeadDim == 0 {
		c.HeadDim = c.Width / c.Heads
		fault(c.Width%c.Heads == 0,
			"hidden_size %d is not a multiple of num_attention_heads %d, and there is no head_dim", c.Width, c.Heads)
	}
	fault(c.HeadDim > 0, "head_dim is %d; want at least 1", c.HeadDim)
	fault(c.Activation == "silu", "hidden_act is %s; want silu", place.Quote(c.Activation))
	fault(c.Eps > 0, "rms_norm_eps is %g; want more than 0", c.Eps)
	fault(c.AttentionDropout >= 0 && c.AttentionDropout < 1,
		"attention_dropout is %g; want at least 0 and less than 1", c.AttentionDropout)
	return append(faults, c.rope.validate(c.HeadDim, c.Positions)...)
}

// family returns what is particular to the model_type.
func (c *DecoderConfig) family() family { return families[c.head] }

// MaxTokens returns the number of tokens of the longest sequence that the model can process: its positions, or its
// sliding window if that is shorter, because within the window the attention is the plain one.
func (c *DecoderConfig) MaxTokens() int {
	if c.Window > 0 {
		return min(c.Positions, c.Window)
	}
	return c.Positions
}

// Limit says in words what MaxTokens is the number of.
func (c *DecoderConfig) Limit() string {
	if c.Window > 0 && c.Window < c.Positions {
		return fmt.Sprintf("the model has a sliding window of %d tokens, and lor2c computes no longer texts with it",
			c.Window)
	}
	return fmt.Sprintf("the model has %d positions", c.Positions)
}

// Identity returns the fields of c that change the outputs of the model, as JSON values by their keys in config.json.
// Fields that are not set have their defaults; the rotation is one value.
func (c DecoderConfig) Identity() map[string]string {
	raw, err := json.Marshal(c)
	var fields map[string]json.RawMessage
	if err == nil {
		err = json.Unmarshal(raw, &fields)
	}
	var rotation []byte
	if err == nil {
		rotation, err = json.Marshal(c.rope)
	}
	if err != nil {
		panic(err) // numbers, strings and booleans always marshal, and floats here are finite
	}
	values := map[string]string{"rope_parameters": string(rotation), "sliding_window": fmt.Sprint(c.Window)}
	for key, value := range fields {
		values[key] = string(value)
	}
	return values
}
