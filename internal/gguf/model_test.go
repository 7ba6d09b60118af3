package gguf_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/gguf"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/peertest"
	"github.com/lor2c/lor2c/internal/tape"
	"github.com/lor2c/lor2c/internal/tokenizer"
)

// tiny has a decoder of every kind with a tokenizer of every kind, every rotation and every type of tensors. Keys that
// all share are in config.
var tiny = map[string]struct {
	config, tokens string
	kind           checkpoint.DType
}{
	"llama": {`"model_type": "llama", "tie_word_embeddings": true`, "llama-model", checkpoint.F32},
	"llama3": {`"model_type": "llama", "attention_bias": true, "mlp_bias": true, "rope_scaling": {"rope_type": "llama3",
		"factor": 8, "low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 32}`, "llama3",
		checkpoint.BF16},
	"mistral": {`"model_type": "mistral"`, "llama", checkpoint.F16},
	"smollm": {`"model_type": "llama", "tie_word_embeddings": true,
		"rope_scaling": {"rope_type": "linear", "factor": 2}`, "smollm", checkpoint.BF16},
	"qwen2": {`"model_type": "qwen2", "rope_scaling": {"rope_type": "yarn", "factor": 4, "beta_fast": 2,
		"beta_slow": 0.5, "original_max_position_embeddings": 16}`, "qwen", checkpoint.F16},
	"qwen3": {`"model_type": "qwen3", "head_dim": 6, "tie_word_embeddings": true`, "qwen", checkpoint.BF16},
}

const shared = `{"hidden_size": 16, "intermediate_size": 12, "num_hidden_layers": 2, "num_attention_heads": 4,
	"num_key_value_heads": 2, "vocab_size": 604, "max_position_embeddings": 64, "rms_norm_eps": 1e-5, `

// ids are the tokens of the test.
var ids = []int32{1, 17, 250, 33, 8, 300, 41, 5, 260, 99, 12}

// load returns the decoder of a config.json, whose matrices have values of the type kind, and a tokenizer of the tests
// of package tokenizer.
func load(t *testing.T, dev compute.Device, config, tokens string, kind checkpoint.DType) (*model.Decoder,
	*tokenizer.Tokenizer) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o666); err != nil {
		t.Fatal(err)
	}
	c, err := model.ReadDecoderConfig(dir)
	if err != nil {
		t.Fatal(err)
	}
	n, err := model.NewDecoder(dev, c, 16, nil, func(name string, shape compute.Shape) ([]float32, bool, error) {
		values := make([]float32, shape.Len())
		compute.Normal(values, 31, name, 0.5)
		if strings.Contains(name, "norm.weight") {
			for i := range values {
				values[i]++
			}
		}
		if len(shape) > 1 {
			checkpoint.Round(values, kind)
		}
		return values, true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Load("../tokenizer/testdata/" + tokens)
	if err != nil {
		t.Fatal(err)
	}
	return n, tok
}

// TestModel: the file of a tiny decoder is, byte by byte, the one from which scripts/check_gguf.py --tiny has computed
// the logits in logits.json, and those are the logits of the forward pass. LOR2C_UPDATE=1 writes the files; the script
// then writes the logits.
func TestModel(t *testing.T) {
	for name, of := range tiny {
		t.Run("model="+name, func(t *testing.T) {
			dev, path := cpu.Open[float32](1), filepath.Join(t.TempDir(), "m.gguf")
			n, tok := load(t, dev, shared+of.config+"}", of.tokens, of.kind)
			f, err := gguf.Header(&n.DecoderConfig, tok, name, of.kind)
			if err != nil {
				t.Fatal(err)
			}
			f.AddModel(dev, n, of.kind)
			if err := f.Save(path); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			peertest.Check(t, name+".gguf", got, logits(dev, n), 1e-4, "scripts/check_gguf.py --tiny --write")
		})
	}
}

// logits returns the logits of the token after ids.
func logits(dev compute.Device, n *model.Decoder) []float32 {
	b := model.Batch{IDs: ids, Cu: []int32{0, int32(len(ids))}, Read: []int32{int32(len(ids) - 1)}}
	row := n.Forward(n.NewPass(&tape.Tape{Dev: dev, Seed: 1, Step: 1}, b, model.Base{})).Value
	x, w := make([]float32, n.Width), n.Vocabulary().Values(dev)
	dev.Download(x, row)
	y := make([]float32, n.Vocab)
	for v := range y {
		for i := range x {
			y[v] += x[i] * w[v*n.Width+i]
		}
	}
	return y
}

// TestHeaderRefused: what llama.cpp does not have of a model or a tokenizer is an error that says so.
func TestHeaderRefused(t *testing.T) {
	for _, c := range []struct{ config, tokens, want string }{
		{`"model_type": "qwen2", "head_dim": 6`, "qwen", "4 heads of width 6, and llama.cpp's qwen2 has only heads that " +
			"are together as wide as the model, which is 16"},
		{`"model_type": "qwen3", "attention_bias": true`, "qwen", "biases, and those of llama.cpp's qwen3 have none"},
		{`"model_type": "qwen2", "mlp_bias": true`, "qwen", "biases, and those of llama.cpp's qwen2 have none"},
		{`"model_type": "llama", "rope_scaling": {"rope_type": "yarn", "factor": 4, "attention_factor": 2}`, "llama",
			"an attention_factor, mscale or truncate that GGUF cannot express"},
		{`"model_type": "llama"`, "bpe-prefix", "puts a space in front of a text (add_prefix_space)"},
		{`"model_type": "llama"`, "wordpiece", "neither byte-level BPE nor the BPE of SentencePiece"},
	} {
		n, tok := load(t, cpu.Open[float32](1), shared+c.config+"}", c.tokens, checkpoint.F32)
		if _, err := gguf.Header(&n.DecoderConfig, tok, "x", checkpoint.F32); err == nil ||
			!strings.Contains(err.Error(), c.want) {
			t.Errorf("%s with the tokenizer %s: error %v; want %s", c.config, c.tokens, err, c.want)
		}
	}
}

// TestHeaderAffixes: a token before a text that is not the bos_token is an error.
func TestHeaderAffixes(t *testing.T) {
	n, _ := load(t, cpu.Open[float32](1), shared+`"model_type": "llama"}`, "llama3", checkpoint.F32)
	dir := t.TempDir()
	raw, err := os.ReadFile("../tokenizer/testdata/llama3/tokenizer.json")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "tokenizer.json"), raw, 0o666)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "tokenizer_config.json"), []byte(`{"bos_token": "<|im_end|>"}`), 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	const want = "puts other tokens around a text than its bos_token and eos_token"
	_, err = gguf.Header(&n.DecoderConfig, tok, "x", checkpoint.F32)
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v; want %s", err, want)
	}
}

// TestSaveFault: a file that cannot be written is an error that names it.
func TestSaveFault(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing", "x.gguf")
	if err := (&gguf.File{}).Save(path); err == nil || !strings.HasPrefix(err.Error(), "gguf: write "+path+": ") {
		t.Errorf("error %v", err)
	}
}
