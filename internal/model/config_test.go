package model_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/model"
)

// TestReadConfigFaults reads testdata/NAME.bad/config.json.
func TestReadConfigFaults(t *testing.T) {
	for name, want := range map[string]string{
		"architecture":       `model_type is "gpt2"; want roberta, xlm-roberta, camembert, bert, mpnet or distilbert`,
		"no_architecture":    `model_type is ""; want roberta, xlm-roberta, camembert, bert, mpnet or distilbert`,
		"width":              "hidden_size is 0; want at least 1",
		"layers":             "num_hidden_layers is -3; want at least 1",
		"heads":              "num_attention_heads is 0; want at least 1",
		"intermediate":       "intermediate_size is 0; want at least 1",
		"vocabulary":         "vocab_size is 0; want at least 1",
		"positions":          "max_position_embeddings is 0; want at least 1",
		"types":              "type_vocab_size is 0; want at least 1",
		"uneven_heads":       "hidden_size 8 is not a multiple of num_attention_heads 3; want equal heads",
		"activation":         `hidden_act is "silu"; want gelu, gelu_new, gelu_pytorch_tanh or relu`,
		"relative_positions": `position_embedding_type is "relative_key"; want absolute`,
		"decoder":            "is_decoder is true; want an encoder",
		"eps":                "layer_norm_eps is 0; want more than 0",
		"hidden_dropout":     "hidden_dropout_prob is 1.5; want at least 0 and less than 1",
		"attention_dropout":  "attention_probs_dropout_prob is -0.1; want at least 0 and less than 1",
		"classifier_dropout": "classifier_dropout is 1; want at least 0 and less than 1",
		"negative_pad":       "pad_token_id is -1; want at least 0",
		"no_room":            "pad_token_id 15 leaves no room in 16 positions; want a smaller one",
		"mpnet_buckets": "relative_attention_num_buckets is 16; want 32, the number for which transformers computes the " +
			"buckets",
		"mpnet_no_room": "max_position_embeddings is 2; want more than 2, the number of the first position",
		"distilbert_keys": "dim 8 is not a multiple of n_heads 3; want equal heads\nmodel: read " +
			filepath.Join("testdata", "distilbert_keys.bad", "config.json") + ": dropout is 1; want at least 0 and less than 1",
		"two_faults": "vocab_size is 0; want at least 1\nmodel: read " +
			filepath.Join("testdata", "two_faults.bad", "config.json") +
			`: hidden_act is "silu"; want gelu, gelu_new, gelu_pytorch_tanh or relu`,
	} {
		t.Run("fault="+name, func(t *testing.T) {
			dir := filepath.Join("testdata", name+".bad")
			_, err := model.ReadConfig(dir)
			if want := "model: read " + filepath.Join(dir, "config.json") + ": " + want; err == nil || err.Error() != want {
				t.Errorf("error %v\nwant  %s", err, want)
			}
		})
	}
	for name, want := range map[string]string{
		"syntax":         ":1:26: the text ends before its JSON value is complete",
		"comma":          `:3:40: "}" stands where a key in double quotes must be`,
		"string_width":   ":3:20: hidden_size holds a JSON string, not a whole number",
		"fraction":       ":5:28: num_hidden_layers holds 2.5, not a whole number in plain digits",
		"twice":          `:6:23: the object has the key "num_attention_heads" twice; every key may appear once`,
		"capitals":       `:6:21: the key "NUM_HIDDEN_LAYERS" is "num_hidden_layers" in another case; want it written so`,
		"capitals_alone": `:3:15: the key "Hidden_Size" is "hidden_size" in another case; want it written so`,
		"list":           ":1:1: the text holds a JSON array, not an object",
	} {
		t.Run("fault="+name, func(t *testing.T) {
			dir := filepath.Join("testdata", name+".bad")
			_, err := model.ReadConfig(dir)
			if want := "model: read " + filepath.Join(dir, "config.json") + want +
				"; want the JSON that transformers writes"; err == nil || err.Error() != want {
				t.Errorf("error %v\nwant  %s", err, want)
			}
		})
	}
	t.Run("fault=html", func(t *testing.T) {
		_, err := model.ReadConfig("testdata/html.bad")
		want := "model: read " + filepath.Join("testdata", "html.bad", "config.json") +
			`: it is not JSON but an HTML page, it starts with "<!DOCTYPE html>"`
		if err == nil || err.Error() != want {
			t.Errorf("error %v\nwant  %s", err, want)
		}
	})
	t.Run("fault=large", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "config.json"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(filepath.Join(dir, "config.json"), 4<<30); err != nil {
			t.Skip(err)
		}
		_, err := model.ReadConfig(dir)
		if want := "model: open " + filepath.Join(dir, "config.json") +
			": it has 4 GiB; at most 1 MiB is allowed for such a file"; err == nil || err.Error() != want {
			t.Errorf("error %v\nwant  %s", err, want)
		}
	})
	t.Run("fault=missing", func(t *testing.T) {
		_, err := model.ReadConfig("testdata")
		if want := "model: open testdata: it has no config.json; name a Hugging Face model directory"; err == nil ||
			err.Error() != want {
			t.Errorf("error %v\nwant  %s", err, want)
		}
	})
	t.Run("fault=unreadable", func(t *testing.T) {
		_, err := model.ReadConfig(filepath.Join("testdata", "defaults", "config.json"))
		if err == nil ||
			!strings.HasPrefix(err.Error(),
				"model: open "+filepath.Join("testdata", "defaults", "config.json", "config.json")+": ") {
			t.Errorf("error %v; want one that names the path", err)
		}
	})
}

// TestReadConfigDefaults: transformers leaves out what equals its defaults.
func TestReadConfigDefaults(t *testing.T) {
	c, err := model.ReadConfig("testdata/bert_defaults")
	if err != nil {
		t.Fatal(err)
	}
	if c.Eps != 1e-12 || c.Activation != "gelu" || c.HiddenDropout != 0.1 || c.AttentionDropout != 0.1 || c.Types != 2 ||
		c.Positions != 512 {
		t.Errorf("config %+v; want the defaults of BertConfig", c)
	}
	if got := c.MaxTokens(); got != 512 {
		t.Errorf("MaxTokens() = %d; want 512", got)
	}
	if c, err = model.ReadConfig("testdata/defaults"); err != nil {
		t.Fatal(err)
	}
	// transformers does not read these keys for MPNet.
	mpnet, err := model.ReadConfig("testdata/mpnet_defaults")
	if err != nil {
		t.Fatal(err)
	}
	if mpnet.Buckets != 32 || mpnet.Types != 0 || mpnet.ClassifierDropout != nil || mpnet.MaxTokens() != 14 {
		t.Errorf("config %+v with %d tokens; want 32 buckets, no types, no dropout of its own for the head and 14 tokens",
			mpnet, mpnet.MaxTokens())
	}
	// These are the keys that DistilBERT has under other names, the epsilon of its norms, and the dropout of its head.
	distilbert, err := model.ReadConfig("testdata/distilbert_defaults")
	if err != nil {
		t.Fatal(err)
	}
	if distilbert.Width != 8 || distilbert.Layers != 2 || distilbert.Heads != 4 || distilbert.FF != 12 ||
		distilbert.Eps != 1e-12 || distilbert.Types != 0 || *distilbert.ClassifierDropout != 0.2 ||
		distilbert.MaxTokens() != 16 || distilbert.Identity()["n_heads"] != "4" {
		t.Errorf("config %+v with identity %v; want the values of its config.json and the defaults of DistilBertConfig",
			distilbert, distilbert.Identity())
	}
	// An encoder without buckets has the identity that it had before there was MPNet.
	const buckets = "relative_attention_num_buckets"
	if _, ok := c.Identity()[buckets]; ok || mpnet.Identity()[buckets] != "32" {
		t.Errorf("identities %v and %v; want buckets only for MPNet", c.Identity(), mpnet.Identity())
	}
	// RoBERTa's first token has position pad_token_id + 1 = 2.
	if got := c.MaxTokens(); got != 14 {
		t.Errorf("MaxTokens() = %d of 16 positions; want 14", got)
	}
}
