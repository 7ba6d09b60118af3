package model_test

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/tape"
)

const goldenDecoders = "../../testdata/golden_decoder"

// decoders lists the cases of scripts/golden_decoder.py.
var decoders = []string{"llama", "llama_tied", "llama_bias", "llama_yarn", "mistral", "qwen2", "qwen3"}

// goldenPack returns the sequences of a case.
func goldenPack(t *testing.T, f *checkpoint.File) model.Batch {
	t.Helper()
	b := model.Batch{Cu: []int32{0}}
	for _, name := range []string{"input_ids", "lengths"} {
		ints, err := f.ReadInts(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range ints {
			if name == "input_ids" {
				b.IDs = append(b.IDs, int32(v))
			} else {
				b.Cu = append(b.Cu, b.Cu[len(b.Cu)-1]+int32(v))
			}
		}
	}
	return b
}

// tokenLogits returns the logits of every row that b reads.
func tokenLogits(dev *cpu.Device[float64], m *model.Decoder, b model.Batch) []float64 {
	dev.Reset()
	p := m.NewPass(&tape.Tape{Dev: dev}, b, model.Base{})
	return slices.Clone(cpu.Data[float64](p.Linear(m.Forward(p), m.Vocabulary(), nil, compute.Identity).Value))
}

// TestDecoders: a pack of sequences has the logits that transformers computes for each sequence alone, in every family,
// with weights in float32, float16 and bfloat16, in one file and in several.
func TestDecoders(t *testing.T) {
	for _, name := range decoders {
		t.Run("model="+name, func(t *testing.T) {
			dir := filepath.Join(goldenDecoders, name)
			f, err := checkpoint.Open(filepath.Join(dir, "golden.safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			b := goldenPack(t, f)
			dev := cpu.Open[float64](2)
			m, err := model.LoadDecoder(dev, dir, 40, nil)
			if err != nil {
				t.Fatal(err)
			}
			got, want := tokenLogits(dev, m, b), make([]float32, len(b.IDs)*m.Vocab)
			if err := f.ReadInto(want, "logits"); err != nil {
				t.Fatal(err)
			}
			// transformers computes norms and softmax in float32 whatever the type of the model.
			for i, w := range want {
				if !(math.Abs(got[i]-float64(w)) < 2e-5) {
					t.Fatalf("logit %d of row %d is %v; want %v", i%m.Vocab, i/m.Vocab, got[i], w)
				}
			}
			read := b
			read.Read = []int32{0, 2, 9, 10, 48, 49}
			some := tokenLogits(dev, m, read)
			for i, row := range read.Read {
				for j := range m.Vocab {
					if got, want := some[i*m.Vocab+j], got[int(row)*m.Vocab+j]; !(math.Abs(got-want) < 1e-12) {
						t.Fatalf("logit %d of row %d is %v if few rows are read, and %v otherwise", j, row, got, want)
					}
				}
			}
		})
	}
}

// TestDecoderPacking: a sequence of a pack has the same logits to the bit wherever it lies, and a token changes nothing
// in other sequences or before it.
func TestDecoderPacking(t *testing.T) {
	dev := cpu.Open[float64](2)
	m, err := model.LoadDecoder(dev, filepath.Join(goldenDecoders, "qwen3"), 12, nil)
	if err != nil {
		t.Fatal(err)
	}
	sequences := [][]int32{{5, 9, 2, 7}, {1}, {3, 3, 8, 60, 2, 11, 4}}
	logits := func(order []int) map[int][]float64 {
		b := model.Batch{Cu: []int32{0}}
		for _, i := range order {
			b.IDs = append(b.IDs, sequences[i]...)
			b.Cu = append(b.Cu, int32(len(b.IDs)))
		}
		all, of := tokenLogits(dev, m, b), map[int][]float64{}
		for at, i := range order {
			of[i] = all[int(b.Cu[at])*m.Vocab : int(b.Cu[at+1])*m.Vocab]
		}
		return of
	}
	first, second := logits([]int{0, 1, 2}), logits([]int{2, 0, 1})
	for i := range sequences {
		if !slices.Equal(first[i], second[i]) {
			t.Errorf("the logits of sequence %d depend on its place", i)
		}
	}
	sequences[0][2] = 40
	changed := logits([]int{0, 1, 2})
	if !slices.Equal(changed[1], first[1]) || !slices.Equal(changed[2], first[2]) {
		t.Error("a token changes the logits of another sequence")
	}
	before := 2 * m.Vocab
	if !slices.Equal(changed[0][:before], first[0][:before]) || slices.Equal(changed[0][before:], first[0][before:]) {
		t.Error("a token changes the logits before it, or none behind it")
	}
}

// TestDecoderFaults: what a decoder cannot process is an error that names the place and what would be right.
func TestDecoderFaults(t *testing.T) {
	dev := cpu.Open[float32](1)
	m, err := model.LoadDecoder(dev, filepath.Join(goldenDecoders, "llama"), 5, nil)
	if err != nil {
		t.Fatal(err)
	}
	for want, b := range map[string]model.Batch{
		"sequence 1 of the batch has 6 tokens; want at most 5": {IDs: make([]int32, 7), Cu: []int32{0, 1, 7}},
		"token 1 has id 61; want 0 to 60":                      {IDs: []int32{0, 61}, Cu: []int32{0, 2}},
		"row 1 to read is 1; want ascending rows below 2": {IDs: make([]int32, 2), Cu: []int32{0, 2},
			Read: []int32{1, 1}},
		"1 rows are read and 2 tokens follow them": {IDs: make([]int32, 2), Cu: []int32{0, 2}, Read: []int32{1},
			Next: []int32{1, 2}},
		"the token after row 1 has id -1; want 0 to 60": {IDs: make([]int32, 2), Cu: []int32{0, 2}, Read: []int32{1},
			Next: []int32{-1}},
	} {
		if err := m.Check(b); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v; want %q", err, want)
		}
	}
	// Each fault is that of a copy of a good model with other lines in its config.json.
	for want, change := range map[string][2]string{
		`model_type is "gemma"; want one of llama, mistral, qwen2, qwen3`: {`"model_type": "llama"`,
			`"model_type": "gemma"`},
		`hidden_act is "gelu"; want silu`: {`"model_type"`,
			`"hidden_act": "gelu", "model_type"`},
		"quantization_config.load_in_4bit is not true; want nf4 of bitsandbytes": {`"model_type"`,
			`"quantization_config": {"bits": 4}, "model_type"`},
		"num_attention_heads 6 is not a multiple of num_key_value_heads 4": {`"num_key_value_heads": 2`,
			`"num_key_value_heads": 4`},
		"model.embed_tokens.weight is [61 24]; ": {`"vocab_size": 61`,
			`"vocab_size": 62`},
		"there is no tensor model.layers.0.self_attn.q_proj.bias": {`"model_type"`,
			`"attention_bias": true, "model_type"`},
		"the weights have tensors that a llama decoder of this config.json does not use": {`"num_hidden_layers": 3`,
			`"num_hidden_layers": 2`},
		"sequences of 65 tokens are wanted; the model has 1 to 64": {`"model_type"`, `"model_type"`},
	} {
		t.Run("fault="+want, func(t *testing.T) {
			dir := t.TempDir()
			for _, name := range []string{"config.json", "model.safetensors"} {
				raw, err := os.ReadFile(filepath.Join(goldenDecoders, "llama", name))
				if err != nil {
					t.Fatal(err)
				}
				if name == "config.json" {
					raw = []byte(strings.Replace(string(raw), change[0], change[1], 1))
				}
				if err := os.WriteFile(filepath.Join(dir, name), raw, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			tokens := 40
			if strings.Contains(want, "65") {
				tokens = 65
			}
			if _, err := model.LoadDecoder(dev, dir, tokens, nil); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error is %v; want %q", err, want)
			}
		})
	}
}

// TestLimit: what limits a sequence is named.
func TestLimit(t *testing.T) {
	for want, c := range map[string]model.DecoderConfig{
		"the model has 64 positions":                  {Positions: 64, Window: 64},
		"the model has a sliding window of 50 tokens": {Positions: 64, Window: 50},
	} {
		if got := c.Limit(); !strings.HasPrefix(got, want) {
			t.Errorf("the limit is %q; want %q", got, want)
		}
	}
}

// TestWindow: a sliding window limits the length of sequences where the family uses it.
func TestWindow(t *testing.T) {
	for _, c := range []struct {
		text string
		want int
	}{
		{`{"model_type": "mistral"}`, 4096},
		{`{"model_type": "mistral", "sliding_window": null}`, 131072},
		{`{"model_type": "mistral", "sliding_window": 50}`, 50},
		{`{"model_type": "qwen2", "sliding_window": 50}`, 32768},
		{`{"model_type": "qwen2", "sliding_window": 50, "use_sliding_window": true}`, 50},
		{`{"model_type": "qwen3", "sliding_window": 50, "use_sliding_window": true, "layer_types": ["full_attention"]}`,
			32768},
		{`{"model_type": "llama", "sliding_window": 50}`, 2048},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := model.ReadDecoderConfig(dir)
		if err != nil || got.MaxTokens() != c.want {
			t.Errorf("%s: %d tokens, %v; want %d", c.text, got.MaxTokens(), err, c.want)
		}
	}
	dir := t.TempDir()
	text := `{"model_type": "mistral", "sliding_window": "wide"}`
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	want := "sliding_window holds a JSON string, not a whole number; want the sliding window that transformers writes"
	if _, err := model.ReadDecoderConfig(dir); err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("%v; want %s", err, want)
	}
}
