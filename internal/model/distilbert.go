package model

import (
	"encoding/json"

	"github.com/lor2c/lor2c/internal/strictjson"
)

// distilbertKeys maps keys of config.json to those with the same meaning of DistilBERT.
var distilbertKeys = map[string]string{
	"hidden_size": "dim", "num_hidden_layers": "n_layers", "num_attention_heads": "n_heads",
	"intermediate_size": "hidden_dim", "hidden_act": "activation", "hidden_dropout_prob": "dropout",
	"attention_probs_dropout_prob": "attention_dropout", "classifier_dropout": "seq_classif_dropout",
}

// distilbertEps is the epsilon of DistilBERT's norms, for which its config.json has no key.
const distilbertEps = 1e-12

// readDistilBERT sets the fields of c that DistilBERT's config.json has under names of its own, and those of which it
// has none.
func (c *Config) readDistilBERT(raw json.RawMessage) error {
	own := struct {
		Width            int     `json:"dim"`
		Layers           int     `json:"n_layers"`
		Heads            int     `json:"n_heads"`
		FF               int     `json:"hidden_dim"`
		Activation       string  `json:"activation"`
		Dropout          float32 `json:"dropout"`
		AttentionDropout float32 `json:"attention_dropout"`
		HeadDropout      float32 `json:"seq_classif_dropout"`
	}{Activation: "gelu", Dropout: 0.1, AttentionDropout: 0.1, HeadDropout: 0.2}
	if err := strictjson.Unmarshal(raw, &own); err != nil {
		return err
	}
	c.Width, c.Layers, c.Heads, c.FF = own.Width, own.Layers, own.Heads, own.FF
	c.Activation, c.HiddenDropout, c.AttentionDropout = own.Activation, own.Dropout, own.AttentionDropout
	c.ClassifierDropout, c.Eps, c.Types, c.PositionKind = &own.HeadDropout, distilbertEps, 0, ""
	return nil
}

// key returns the name that a key of config.json has for encoders of c's type.
func (c Config) key(name string) string {
	if own, ok := distilbertKeys[name]; ok && c.Type == distilbert {
		return own
	}
	return name
}
