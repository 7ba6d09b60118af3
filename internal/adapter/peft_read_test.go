package adapter_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/place"
)

// peftDir returns a copy of the adapter that PEFT wrote with a changed
// configuration. A nil value removes a key.
func peftDir(t *testing.T, change map[string]any) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(goldenDir, "peft_lora_roberta"))); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "adapter_config.json")
	config := readJSON(t, path)
	for key, value := range change {
		if config[key] = value; value == nil {
			delete(config, key)
		}
	}
	raw, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestOpenPEFTValues changes one value of a configuration that PEFT wrote.
// Values that mean LoRA or DoRA are read, and all others are refused by name.
func TestOpenPEFTValues(t *testing.T) {
	object := map[string]any{"x": 1}
	const changed = "it belongs to a base model that PEFT changed when it began; let PEFT write it as plain LoRA, with " +
		"save_pretrained(DIR, path_initial_model_for_weight_conversion=INITIAL)"
	for _, c := range []struct {
		key   string
		value any
		want  string // the value as the error shows it; "" if it is allowed
	}{
		{"init_lora_weights", true, ""},
		{"init_lora_weights", false, ""},
		{"init_lora_weights", "gaussian", ""},
		{"init_lora_weights", "eva", ""},
		{"init_lora_weights", "orthogonal", ""},
		{"init_lora_weights", "pissa", `"pissa"; ` + changed},
		{"init_lora_weights", "pissa_niter_16", `"pissa_niter_16"; ` + changed},
		{"init_lora_weights", "olora", `"olora"; ` + changed},
		{"init_lora_weights", "corda", `"corda"; ` + changed},
		{"init_lora_weights", "loftq", `"loftq"; it belongs to a base model that PEFT changed and quantised when it began`},
		{"init_lora_weights", "lora_ga", `"lora_ga"`},
		{"init_lora_weights", "a later one", `"a later one"`},
		{"init_lora_weights", 1, `1`},
		{"alora_invocation_tokens", []int{5, 6}, `[5,6]`},
		{"arrow_config", object, `{"x":1}`},
		{"bias", "all", `"all"`},
		{"bias", "lora_only", `"lora_only"`},
		{"corda_config", object, `{"x":1}`},
		{"ensure_weight_tying", true, `true`},
		{"eva_config", object, ""},
		{"exclude_modules", []string{"classifier"}, ""},
		{"fan_in_fan_out", true, `true`},
		{"kasa_config", object, `{"x":1}`},
		{"layer_replication", []any{[]int{0, 2}}, `[[0,2]]`},
		{"layers_to_transform", []int{0, 1, 2}, ""},
		{"layers_to_transform", []int{}, ""},
		{"loftq_config", object, `{"x":1}`},
		{"lora_bias", true, `true`},
		{"lora_ga_config", object, `{"x":1}`},
		{"megatron_config", object, `{"x":1}`},
		{"monteclora_config", object, `{"x":1}`},
		{"peft_type", "LOHA", `"LOHA"; lor2c reads ADALORA, IA3, LORA, PREFIX_TUNING, VERA of PEFT`},
		{"peft_version", "9.9", ""},
		{"rank_pattern", map[string]any{"query": 4}, ""},
		{"alpha_pattern", map[string]any{"query": 4}, ""},
		{"revision", "main", ""},
		{"target_parameters", []string{"w"}, `["w"]`},
		{"task_type", "FEATURE_EXTRACTION", ""},
		{"trainable_token_indices", []int{3}, `[3]`},
		{"use_bdlora", object, `{"x":1}`},
		{"use_dora", true, ""},
		{"use_dora", "yes", `"yes"`},
		{"use_qalora", true, `true`},
		{"use_rslora", true, ""},
		{"velora_config", object, `{"x":1}`},
		{"a_later_option", true, `true`},
		{"a_later_option", false, ""},
		{"a_later_option", []any{}, ""},
		{"a_later_option", strings.Repeat("\x1b", 100), `"\"` + strings.Repeat(`\\u001b`, 9) + `\\u001"...`},
		{"USE_DORA", true, `true`},
	} {
		t.Run(fmt.Sprintf("%s=%.20v", c.key, c.value), func(t *testing.T) {
			dir := peftDir(t, map[string]any{c.key: c.value})
			s, err := adapter.Open(dir)
			if err == nil {
				s.Close()
			}
			got, want := "", ""
			if err != nil {
				got = err.Error()
			}
			if c.want != "" {
				want = "adapter: open " + filepath.Join(dir, "adapter_config.json") + ": " + c.key + " is " + c.want
				if !strings.Contains(c.want, "; ") {
					want += "; lor2c reads plain LoRA adapters of PEFT"
				}
			}
			if got != want && !strings.HasPrefix(c.key, "a_later") || (got == "") != (want == "") ||
				strings.Contains(got, "\x1b") || len(got) > 400 {
				t.Errorf("error\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// TestOpenPEFTTargets: the modules are those of the tensors, however the
// configuration selects them.
func TestOpenPEFTTargets(t *testing.T) {
	for name, c := range map[string]struct {
		value any
		want  []string
	}{
		"list":       {[]string{"value", "query"}, []string{"value", "query"}},
		"longer":     {[]string{"attention.self.query", "value"}, []string{"attention.self.query", "value"}},
		"regex":      {`.*attention\.self\.(query|value)`, []string{"attention.self.query", "attention.self.value"}},
		"none":       {nil, []string{"attention.self.query", "attention.self.value"}},
		"unreadable": {`.*self\.(?!key).*`, []string{"attention.self.query", "attention.self.value"}},
		"of another model": {[]string{"query", "value", "out_proj", "q_proj"},
			[]string{"attention.self.query", "attention.self.value"}},
	} {
		t.Run("targets="+name, func(t *testing.T) {
			dir := peftDir(t, map[string]any{"target_modules": c.value})
			s, err := adapter.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			s.Close()
			if !slices.Equal(s.Method.Value("target_modules").([]string), c.want) {
				t.Errorf("target modules %q; want %q", s.Method.Value("target_modules").([]string), c.want)
			}
			dev := cpu.Open[float32](1)
			n := goldenNetwork(t, dev, filepath.Join(goldenDir, "roberta"), s.Method, 1)
			restore(t, dir, n)
		})
	}
}

// TestOpenPEFTTensors changes which modules are adapted.
func TestOpenPEFTTensors(t *testing.T) {
	renamed := func(from, to string) func(checkpoint.Tensor) []checkpoint.Tensor {
		return func(x checkpoint.Tensor) []checkpoint.Tensor {
			x.Name = strings.Replace(x.Name, from, to, 1)
			return []checkpoint.Tensor{x}
		}
	}
	for name, c := range map[string]struct {
		change func(checkpoint.Tensor) []checkpoint.Tensor
		want   string
	}{
		"pooler": {renamed("encoder.layer.0.attention.self.query", "pooler.dense"),
			`tensor "base_model.model.roberta.pooler.dense.lora_A.weight" does not adapt a linear layer ` +
				"of any layer; lor2c reads LoRA on attention.self.query, attention.self.key"},
		"embedding": {renamed("encoder.layer.0.attention.self.query.lora_A.weight",
			"embeddings.word_embeddings.lora_embedding_A"), "does not adapt a linear layer of any layer"},
		"dora": {renamed("layer.0.attention.self.query.lora_A.weight",
			"layer.0.attention.self.query.lora_magnitude_vector"), "does not adapt a linear layer of any layer"},
		"one-layer": {renamed("layer.1.attention.self.value", "layer.1.attention.self.key"), "layer 1 has LoRA on " +
			"attention.self.key, attention.self.query and other layers also on \"attention.self.value\"; want the same " +
			"modules in every layer, or a configuration that leaves some out"},
		"first-gone": {renamed("layer.0.", "layer.7."),
			"layer 0 has LoRA on nothing and other layers also on \"attention.self.query\""},
		"layer-gone": {renamed("layer.1.", "layer.7."),
			"layer 1 has LoRA on nothing and other layers also on \"attention.self.query\""},
		"none": {func(x checkpoint.Tensor) []checkpoint.Tensor {
			if strings.Contains(x.Name, "lora_") {
				return nil
			}
			return []checkpoint.Tensor{x}
		}, "it has no tensor of LoRA; want the tensors that PEFT writes"},
	} {
		t.Run("tensors="+name, func(t *testing.T) {
			dir := peftDir(t, nil)
			rewrite(t, dir, c.change)
			s, err := adapter.Open(dir)
			if err == nil {
				s.Close()
			}
			if want := "adapter: open " + filepath.Join(dir, "adapter_model.safetensors") + ": "; err == nil ||
				!strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error\n%v\nwant\n%s%s", err, want, c.want)
			}
			if name != "none" && !errors.Is(err, adapter.ErrMismatch) {
				t.Errorf("error %v is not ErrMismatch", err)
			}
		})
	}
}

// TestOpenPEFTFaults: errors use PEFT's names of keys.
func TestOpenPEFTFaults(t *testing.T) {
	for _, c := range []struct {
		change map[string]any
		want   string
	}{
		{map[string]any{"r": 0}, "/adapter_config.json: r: is 0; want 1 to 256"},
		{map[string]any{"lora_alpha": -1}, "/adapter_config.json: lora_alpha: is -1; want more than 0"},
		{map[string]any{"lora_alpha": 1e308},
			"/adapter_config.json: lora_alpha: is 1e+308; want alpha/rank to be finite in float32"},
		{map[string]any{"lora_dropout": 1}, "/adapter_config.json: lora_dropout: is 1; want at least 0 and less than 1"},
		{map[string]any{"r": "4"}, `r holds a JSON string, not a whole number; want the JSON that PEFT writes`},
		{map[string]any{"R": 4}, `the key "R" is "r" in another case; want it written so; want the JSON that PEFT writes`},
		{map[string]any{"peft_type": nil}, "/adapter_config.json: there is no peft_type; want the JSON that PEFT writes"},
	} {
		t.Run(fmt.Sprint(c.change), func(t *testing.T) {
			dir := peftDir(t, c.change)
			s, err := adapter.Open(dir)
			if err == nil {
				s.Close()
			}
			if err == nil || !strings.HasPrefix(err.Error(), "adapter: open "+dir) || !strings.HasSuffix(err.Error(), c.want) {
				t.Errorf("error\n%v\nwant\n%s", err, c.want)
			}
		})
	}
	dir := peftDir(t, nil)
	path := filepath.Join(dir, "adapter_config.json")
	for _, c := range []struct{ text, want string }{
		{`{"peft_type": "LORA", "r": 4, "r": 8}`,
			`:1:33: the object has the key "r" twice; every key may appear once; want the JSON that PEFT writes`},
		{"<html>", `: it is not JSON but an HTML page, it starts with "<html>"`},
		{"[]", ":1:1: the text holds a JSON array, not an object; want the JSON that PEFT writes"},
		{"null", ": there is no peft_type; want the JSON that PEFT writes"},
	} {
		if err := os.WriteFile(path, []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := adapter.Open(dir); err == nil || err.Error() != "adapter: open "+path+c.want {
			t.Errorf("error\n%v\nwant\n%s", err, c.want)
		}
	}
}

// TestOpenPickle: an adapter of an old PEFT has its tensors in a pickle, which
// is refused.
func TestOpenPickle(t *testing.T) {
	dir := peftDir(t, nil)
	if err := os.Rename(filepath.Join(dir, "adapter_model.safetensors"),
		filepath.Join(dir, "adapter_model.bin")); err != nil {
		t.Fatal(err)
	}
	want := "adapter: open " + dir +
		": its only tensors are adapter_model.bin, a pickle, which is never read; convert it there with " +
		`python3 -c "import torch, safetensors.torch as s; s.save_file({k: v.contiguous().clone() for k, v in ` +
		`torch.load('adapter_model.bin', weights_only=True).items()}, 'adapter_model.safetensors', {'format': 'pt'})"`
	if _, err := adapter.Open(dir); err == nil || err.Error() != want || !place.IsMistake(err) {
		t.Errorf("error\n%v\nwant\n%s", err, want)
	}
}

// TestRestoreNotFinite: if a value of the adapter or its head is not finite,
// the error names the tensor and the file.
func TestRestoreNotFinite(t *testing.T) {
	for _, name := range []string{"base_model.model.roberta.encoder.layer.2.attention.self.value.lora_B.weight",
		"base_model.model.classifier.dense.bias"} {
		t.Run("tensor="+name, func(t *testing.T) {
			dir := peftDir(t, nil)
			rewrite(t, dir, func(x checkpoint.Tensor) []checkpoint.Tensor {
				if x.Name == name {
					x.Data.([]float32)[3] = float32(math.NaN())
				}
				return []checkpoint.Tensor{x}
			})
			s, err := adapter.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			n := goldenNetwork(t, cpu.Open[float32](1), filepath.Join(goldenDir, "roberta"), s.Method, 1)
			err = s.Restore(n.Dev, n.Method, n.Model.Head())
			if want := "checkpoint: read " + filepath.Join(dir, "adapter_model.safetensors") + ": tensor "; err == nil ||
				!strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), " is NaN at [") ||
				!errors.Is(err, checkpoint.ErrNotFinite) {
				t.Errorf("error %v\nwant  %s", err, want)
			}
		})
	}
}

// TestOpenDescription changes a lor2c.json that lor2c wrote.
func TestOpenDescription(t *testing.T) {
	dev, base := cpu.Open[float32](1), filepath.Join(goldenDir, "roberta")
	method := adapter.Configure("lor2c",
		adapter.Values{"rank": 4, "alpha": 16, "target_modules": []string{"query", "value"}})
	n := goldenNetwork(t, dev, base, method, 1)
	dir := saved(t, n, describe(t, n, base, method))
	path := filepath.Join(dir, "lor2c.json")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, new, want string }{
		{`"first": 2,`, `"first": 1,`, ": structure: module 1-2 is out of order, overlaps another or leaves the model; " +
			"want modules in order within layers 0 to 2: adapter and model do not match"},
		{`"injected": []`, `"injected": 1`, ": structure: injected holds a JSON number, not an array"},
		{`"injected": []`, `"injected": [1]`, ": structure: LoRA on layer 1 is listed twice, lies within a module or " +
			"outside the model; want a layer from 0 to 2 without a module: adapter and model do not match"},
		{`"num_hidden_layers": 3`, `"num_hidden_layers": 1000000000`,
			": base.num_hidden_layers is 1000000000; want 0 to 1000"},
		{`"alpha": 16`, `"alpha": 1e308`, ": method.alpha: is 1e+308; want alpha/rank to be finite in float32"},
		{`"rank": 4`, `"rank": 4, "Rank": 2`,
			`: method has the key "Rank", which is not one of method lor2c; want the file that lor2c train wrote`},
		{`"rank": 4`, `"rank": 4, "rank": 2`,
			`the object has the key "rank" twice; every key may appear once; want the file that lor2c train wrote`},
		{`"rank": 4`, `"rank": 4, "use_dora": true`,
			`: method has the key "use_dora", which is not one of method lor2c; want the file that lor2c train wrote`},
		{`"value"`, `"valve"`,
			`: method.target_modules: target module "valve" is not a linear layer of this model; want some of query, ` +
				"key, value, attention.output.dense, intermediate.dense, output.dense, q, k, v, o, q_lin, k_lin, v_lin, out_lin, " +
				"lin1, lin2, q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj"},
		{`"max_length": `, `"max_length": -`, ": max_length is -16; want at least 0"},
	} {
		t.Run("new="+c.new, func(t *testing.T) {
			text := strings.Replace(string(raw), c.old, c.new, 1)
			if text == string(raw) {
				t.Fatalf("%s is not in\n%s", c.old, raw)
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			s, err := adapter.Open(dir)
			if err == nil {
				s.Close()
			}
			if err == nil || !strings.HasPrefix(err.Error(), "adapter: open "+path) || !strings.HasSuffix(err.Error(), c.want) ||
				strings.Contains(err.Error(), "\n") {
				t.Errorf("error\n%v\nwant\n%s", err, c.want)
			}
		})
	}
}

// fuzzOpen opens a directory with the given description and the tensors that
// PEFT wrote. Either the error names the directory, or the adapter can be
// attached.
func fuzzOpen(f *testing.F, name string, seeds ...string) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	tensors, err := os.ReadFile(filepath.Join(goldenDir, "peft_lora_roberta", "adapter_model.safetensors"))
	if err != nil {
		f.Fatal(err)
	}
	dev := cpu.Open[float32](1)
	base, err := model.Load(dev, filepath.Join(goldenDir, "roberta"), model.Head{Outputs: 3}, 1, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		dir := t.TempDir()
		for name, content := range map[string][]byte{name: raw, "adapter_model.safetensors": tensors,
			"model.safetensors": tensors} {
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s, err := adapter.Open(dir)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "adapter: open "+dir) || strings.ContainsAny(err.Error(), "\x00\x1b\r") {
				t.Errorf("error %q", err)
			}
			return
		}
		defer s.Close()
		m, err := adapter.Attach(dev, base, adapter.Settings{Config: s.Method, Structure: s.Structure, Seed: 1})
		if err == nil {
			err = s.Restore(dev, m, base.Head())
		}
		if err != nil && !errors.Is(err, adapter.ErrMismatch) {
			t.Errorf("error %v", err)
		}
	})
}

func FuzzOpenPEFT(f *testing.F) {
	raw, err := os.ReadFile(filepath.Join(goldenDir, "peft_lora_roberta", "adapter_config.json"))
	if err != nil {
		f.Fatal(err)
	}
	fuzzOpen(f, "adapter_config.json", string(raw), strings.Replace(string(raw), `"r": 4`, `"r": 8`, 1),
		`{"peft_type": "LORA"}`, "{}", "null", "[]")
}

func FuzzOpenDescription(f *testing.F) {
	const description = `{"format": 1, "method": {"name": "%s", "rank": 4, "alpha": 16, "dropout": 0, "share": false, "target_modules": ["query", "value"]}, ` +
		`"base": {"path": "m", "sha256": "", "model_type": "roberta", "hidden_size": 32, "num_hidden_layers": 3}, "task": {"name": "custom", "labels": ["a", "b", "c"]}, "max_length": 32%s}`
	fuzzOpen(f, "lor2c.json", fmt.Sprintf(description, "lora", ""), fmt.Sprintf(description, "full", ""),
		fmt.Sprintf(description, "head", ""),
		fmt.Sprintf(description, "lor2c", `, "structure": {"modules": [{"first": 0, "last": 1}], "injected": [2]}`), "{}",
		"null")
}
