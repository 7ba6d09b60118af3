package adapter_test

import (
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/model"
)

const goldenDir = "../../testdata/golden"

// goldenNetwork returns a golden base model with a method in its default
// settings.
func goldenNetwork(t *testing.T, dev compute.Device, base string, c adapter.Config, seed uint64) *network {
	t.Helper()
	return goldenNetworkAs(t, dev, base, c, nil, seed)
}

func goldenNetworkAs(
	t *testing.T, dev compute.Device, base string, c adapter.Config, structure json.RawMessage, seed uint64,
) *network {
	t.Helper()
	m, err := model.Load(dev, base, model.Head{Outputs: 3, Rows: []int{0, 1, 2}}, seed, nil)
	if err != nil {
		t.Fatal(err)
	}
	return attachAs(t, dev, m, c, structure, nil, seed)
}

// baseOf returns the description of the model in dir.
func baseOf(t *testing.T, m model.Network, dir string) adapter.Base {
	t.Helper()
	sum, err := adapter.Fingerprint(dir)
	if err != nil {
		t.Fatal(err)
	}
	return adapter.Base{Path: dir, SHA256: sum, Type: m.(*model.Encoder).Type, Width: m.HiddenSize(),
		Layers: m.HiddenLayers()}
}

// describe returns the description of an adapter as a run writes it.
func describe(t *testing.T, n *network, base string, c adapter.Config) adapter.Description {
	t.Helper()
	b := baseOf(t, n.Model, base)
	p := 0.2
	c = c.With(adapter.Values{"dropout": p})
	c.Resolve()
	return adapter.Description{Method: c, Base: b,
		Task: adapter.Task{Name: "custom", Labels: []string{"no", "maybe", "yes"}}, MaxLength: 16}
}

// saved writes the adapter of n to a new directory.
func saved(t *testing.T, n *network, d adapter.Description) string {
	t.Helper()
	dir := t.TempDir()
	if err := adapter.Save(dir, n.Dev, d, n.Method, n.Model.Head()); err != nil {
		t.Fatal(err)
	}
	return dir
}

// readInts returns a tensor of integers.
func readInts(t *testing.T, f *checkpoint.File, name string) (out []int32) {
	t.Helper()
	list, err := f.ReadInts(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range list {
		out = append(out, int32(x))
	}
	return out
}

// restore opens dir and restores its values into n.
func restore(t *testing.T, dir string, n *network) *adapter.Saved {
	t.Helper()
	s, err := adapter.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if err := s.Restore(n.Dev, n.Method, n.Model.Head()); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSaveRestore: a directory restores every bit of a trained method and its
// head, and its description, into a method that was attached with another seed.
func TestSaveRestore(t *testing.T) {
	for _, kind := range kinds {
		for _, m := range methods {
			if m.merge != nil {
				continue
			}
			t.Run("model="+kind+"/method="+m.name, func(t *testing.T) {
				dev, base := cpu.Open[float32](1), filepath.Join(goldenDir, kind)
				n := goldenNetwork(t, dev, base, m.config, 1)
				n.steps(t, 3)
				d := describe(t, n, base, m.config)
				dir := saved(t, n, d)
				d.Structure = n.Method.Structure()
				fresh := goldenNetworkAs(t, dev, base, m.config, d.Structure, 2)
				s := restore(t, dir, fresh)
				if d.Format = 1; !cmp.Equal(s.Description, d) {
					t.Errorf("description (-want +got):\n%s", cmp.Diff(d, s.Description))
				}
				if err := s.CheckBase(d.Base); err != nil {
					t.Error(err)
				}
				if got, want := s.Scalars(), adapter.Count(n.Method.Params()); got != want && want > 0 && m.config.Trains() == nil {
					t.Errorf("the directory has %d trained scalars; want %d", got, want)
				}
				for i, p := range n.Opt.Params() {
					if !sameBits(download(dev, p.Value), download(dev, fresh.Opt.Params()[i].Value)) {
						t.Errorf("%s differs after the round trip", p.Name)
					}
				}
				b := join(n.parts())
				n.Method.Begin(adapter.At{})
				fresh.Method.Begin(adapter.At{})
				if !sameBits(logits(dev, n.Model, n.Method.Hook(adapter.At{}), b, false),
					logits(dev, fresh.Model, fresh.Method.Hook(adapter.At{}), b, false)) {
					t.Error("logits differ after the round trip")
				}
			})
		}
	}
}

// TestReadPEFT reads a directory that PEFT wrote and compares with the logits
// that PEFT computed with it in float64.
func TestReadPEFT(t *testing.T) {
	dir := filepath.Join(goldenDir, "peft_lora_roberta")
	f, err := checkpoint.Open(filepath.Join(dir, "logits.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ints := func(name string) []int32 { return readInts(t, f, name) }
	b := model.Batch{IDs: ints("input_ids"), Types: ints("token_type_ids"), Cu: ints("cu_seqlens")}
	want := make([]float32, 3*b.Len())
	if err := f.ReadInto(want, "logits"); err != nil {
		t.Fatal(err)
	}
	s, err := adapter.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	dropout := 0.0
	c := adapter.Configure("lora",
		adapter.Values{"rank": 4, "alpha": 16, "dropout": dropout, "target_modules": []string{"query", "value"}})
	if !cmp.Equal(s.Method, c) || s.Base.Path != "roberta" || s.Task.Name != "" {
		t.Errorf("description is %+v; want %+v on roberta without a task", s.Description, c)
	}
	dev := cpu.Open[float32](1)
	n := goldenNetwork(t, dev, filepath.Join(goldenDir, "roberta"), s.Method, 1)
	if err := restore(t, dir, n).CheckBase(adapter.Base{SHA256: strings.Repeat("0", 64)}); err != nil {
		t.Errorf("an adapter of PEFT, which does not record its base: %v", err)
	}
	got := logits(dev, n.Model, n.Method.Hook(adapter.At{}), b, false)
	var apart, size float64
	for i := range want {
		apart, size = math.Max(apart, math.Abs(float64(got[i]-want[i]))), math.Max(size, math.Abs(float64(want[i])))
	}
	if !(apart <= 1e-5*size) {
		t.Errorf("logits are %.2g of the largest apart from PEFT's; want at most 1e-5", apart/size)
	}
}

// shapes maps the tensors of a safetensors file to their shapes.
func shapes(t *testing.T, path string) map[string][]int {
	t.Helper()
	f, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m := map[string][]int{}
	for _, name := range f.Names() {
		_, m[name], _ = f.Info(name)
	}
	return m
}

func readJSON(t *testing.T, path string) map[string]any {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// peftKeys are the keys of LoraConfig in PEFT 0.4.0, src/peft/tuners/lora.py
// and utils/config.py. It refuses all other keys.
var peftKeys = []string{
	"peft_type", "auto_mapping", "base_model_name_or_path", "revision", "task_type", "inference_mode", "r",
	"target_modules", "lora_alpha",
	"lora_dropout", "fan_in_fan_out", "bias", "modules_to_save", "init_lora_weights", "layers_to_transform",
	"layers_pattern",
}

// TestWritePEFT: a LoRA directory has the same tensors as one of PEFT, and an
// equivalent config without keys that PEFT refuses.
func TestWritePEFT(t *testing.T) {
	dev, base := cpu.Open[float32](1), filepath.Join(goldenDir, "roberta")
	c := adapter.Configure("lora", adapter.Values{"rank": 4, "alpha": 16, "target_modules": []string{"query", "value"}})
	n := goldenNetwork(t, dev, base, c, 1)
	dir := saved(t, n, describe(t, n, base, c))
	golden := filepath.Join(goldenDir, "peft_lora_roberta")
	got, want := shapes(t, filepath.Join(dir, "adapter_model.safetensors")), shapes(t,
		filepath.Join(golden, "adapter_model.safetensors"))
	if !cmp.Equal(got, want) {
		t.Errorf("tensors (-want +got):\n%s", cmp.Diff(want, got))
	}
	config, theirs := readJSON(t, filepath.Join(dir, "adapter_config.json")), readJSON(t,
		filepath.Join(golden, "adapter_config.json"))
	// PEFT's run had other settings for these keys: its path, no dropout, and the
	// name of a decoder's head.
	theirs["base_model_name_or_path"], theirs["lora_dropout"], theirs["modules_to_save"] = base, 0.2, []any{"classifier"}
	for key, value := range config {
		if !slices.Contains(peftKeys, key) {
			t.Errorf("%s is not a key of PEFT 0.4", key)
		}
		if !cmp.Equal(value, theirs[key]) {
			t.Errorf("%s is %v; PEFT writes %v", key, value, theirs[key])
		}
	}
	for _, key := range []string{"peft_type", "r", "lora_alpha", "target_modules", "task_type"} {
		if config[key] == nil {
			t.Errorf("%s is missing", key)
		}
	}
	card, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	// There are 6 pairs of 2 32 4 scalars, and a head of 32 33 + 3 33.
	if want := "base_model: " + base + "\nlibrary_name: peft\n"; !strings.Contains(string(card), want) ||
		!strings.Contains(string(card), "2691 trained scalars in 16 tensors, head included") ||
		!strings.Contains(string(card), "text-classification]") || !strings.Contains(string(card), "`lor2c predict") ||
		strings.Contains(string(card), "lor2c_peft") {
		t.Errorf("README.md is\n%s\nwant %q in it", card, want)
	}
}

// TestWriteLoR2C compares names, shapes and config of a LoR2C directory.
func TestWriteLoR2C(t *testing.T) {
	head := map[string][]int{
		"base_model.model.classifier.dense.weight": {32, 32}, "base_model.model.classifier.dense.bias": {32},
		"base_model.model.classifier.out_proj.weight": {3, 32}, "base_model.model.classifier.out_proj.bias": {3},
	}
	layers := func(factor string, shape []int) map[string][]int {
		m := map[string][]int{}
		for _, l := range []string{"0", "1", "2"} {
			m["base_model.model.roberta.encoder.layer."+l+".lor2c."+l+"_"+l+"."+factor+".weight"] = shape
		}
		return m
	}
	for _, c := range []struct {
		share bool
		want  []map[string][]int
	}{
		{false, []map[string][]int{head, layers("lora_A", []int{5, 32}), layers("lora_B", []int{32, 5})}},
		{true, []map[string][]int{head, {"base_model.model.roberta.encoder.lor2c.shared.lora_A.weight": {5, 32}},
			layers("lora_B", []int{32, 5})}},
	} {
		t.Run("share="+map[bool]string{false: "false", true: "true"}[c.share], func(t *testing.T) {
			dev, base := cpu.Open[float32](1), filepath.Join(goldenDir, "roberta")
			method := adapter.Configure("lor2c", adapter.Values{"rank": 5, "alpha": 10, "share": c.share})
			n := goldenNetwork(t, dev, base, method, 1)
			dir := saved(t, n, describe(t, n, base, method))
			want := map[string][]int{}
			for _, m := range c.want {
				maps.Copy(want, m)
			}
			if got := shapes(t, filepath.Join(dir, "adapter_model.safetensors")); !cmp.Equal(got, want) {
				t.Errorf("tensors (-want +got):\n%s", cmp.Diff(want, got))
			}
			span := func(l float64) any { return map[string]any{"start": l, "end": l} }
			config := map[string]any{
				"base_model_name_or_path": base, "inference_mode": true, "lora_dropout": 0.2, "lor2c_alpha": 10.0,
				"modules_to_save": []any{"classifier"},
				"peft_type":       "LOR2C", "r": 5.0, "task_type": "SEQ_CLS", "lor2c_modules": []any{span(0), span(1), span(2)},
			}
			if c.share {
				config["share"] = true
			}
			if got := readJSON(t, filepath.Join(dir, "adapter_config.json")); !cmp.Equal(got, config) {
				t.Errorf("adapter_config.json (-want +got):\n%s", cmp.Diff(config, got))
			}
			card, err := os.ReadFile(filepath.Join(dir, "README.md"))
			if err != nil {
				t.Fatal(err)
			}
			lines := "```python\nimport lor2c_peft\nfrom peft import PeftModel\n" +
				"from transformers import AutoModelForSequenceClassification\n\n" +
				"base = AutoModelForSequenceClassification.from_pretrained(\"" + base + "\", dtype=\"float32\", " +
				"**lor2c_peft.labels(\"DIR\"))\nmodel = PeftModel.from_pretrained(base, \"DIR\")\n```\n"
			if !strings.HasSuffix(string(card), lines) {
				t.Errorf("README.md is\n%s\nwant at its end\n%s", card, lines)
			}
		})
	}
}

// TestWriteDrawnPooler: a BERT pooler that the base model lacks is trained and
// saved with the head, under the name that PEFT uses.
func TestWriteDrawnPooler(t *testing.T) {
	dev := cpu.Open[float32](1)
	build := func(seed uint64) *network {
		m, err := model.New(dev, tiny("bert"), 3, seed, nil, func(name string, shape compute.Shape) ([]float32, bool, error) {
			v, _, err := weights(name, shape)
			return v, strings.HasPrefix(name, "bert.") && !strings.Contains(name, "pooler"), err
		})
		if err != nil {
			t.Fatal(err)
		}
		return attachTo(t, dev, m,
			adapter.Configure("lora", adapter.Values{"rank": 2, "alpha": 4, "target_modules": []string{"key"}}), nil, seed)
	}
	n := build(1)
	n.steps(t, 2)
	p := 0.2
	dir := saved(t, n,
		adapter.Description{Method: adapter.Configure("lora",
			adapter.Values{"rank": 2, "alpha": 4, "dropout": p, "target_modules": []string{"key"}})})
	config := readJSON(t, filepath.Join(dir, "adapter_config.json"))
	if got, want := config["modules_to_save"], []any{"classifier", "pooler"}; !cmp.Equal(got, want) {
		t.Errorf("modules_to_save is %v; want %v", got, want)
	}
	got := shapes(t, filepath.Join(dir, "adapter_model.safetensors"))["base_model.model.bert.pooler.dense.weight"]
	if !slices.Equal(got, []int{12, 12}) {
		t.Errorf("the pooler's weight is %v; want [12 12]", got)
	}
	fresh, b := build(2), join(micro())
	restore(t, dir, fresh)
	if !sameBits(logits(dev, n.Model, n.Method.Hook(adapter.At{}), b, false),
		logits(dev, fresh.Model, fresh.Method.Hook(adapter.At{}), b, false)) {
		t.Error("logits differ after the round trip")
	}
}

// TestWriteFull: full fine-tuning writes a model directory that can be loaded
// as a model, with the trained head, labels and tokenizer.
func TestWriteFull(t *testing.T) {
	for _, c := range []struct {
		kind, architecture string
		labels             []string
		id2label           map[string]any
		problem            string
	}{
		{"roberta", "RobertaForSequenceClassification", []string{"no", "maybe", "yes"},
			map[string]any{"0": "no", "1": "maybe", "2": "yes"}, "single_label_classification"},
		// Labels that are nil mean regression, whatever the head of this test has.
		{"bert", "BertForSequenceClassification", nil, map[string]any{"0": "LABEL_0"}, "regression"},
		{"bert", "BertForSequenceClassification", []string{"cold", "odd", "wet"},
			map[string]any{"0": "cold", "1": "odd", "2": "wet"}, "multi_label_classification"},
	} {
		t.Run("model="+c.kind+"/problem="+c.problem, func(t *testing.T) {
			dev, base := cpu.Open[float32](1), t.TempDir()
			if err := os.CopyFS(base, os.DirFS(filepath.Join(goldenDir, c.kind))); err != nil {
				t.Fatal(err)
			}
			// The base model was fine-tuned in half precision on another task.
			config := readJSON(t, filepath.Join(base, "config.json"))
			config["dtype"], config["problem_type"] = "bfloat16", "regression"
			raw, err := json.Marshal(config)
			if err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(base, "config.json"), string(raw))
			write(t, filepath.Join(base, "vocab.txt"), "not part of the tokenizer")

			method := adapter.NewConfig("full")
			n := goldenNetwork(t, dev, base, method, 1)
			n.steps(t, 2)
			d := describe(t, n, base, method)
			if c.problem == "multi_label_classification" {
				d.Task.Kind, d.Task.Separator, d.Task.Threshold = adapter.MultiLabel, ",", 0.5
			}
			d.Task.Labels, d.Tokenizer = c.labels, map[string][]byte{"vocab.json": []byte(`{"a": 0}`)}
			dir := saved(t, n, d)
			loaded, err := model.Load(dev, dir, model.Head{Outputs: 3, Rows: []int{0, 1, 2}}, 9, nil)
			if err != nil {
				t.Fatal(err)
			}
			b := join(n.parts())
			if !sameBits(logits(dev, loaded, model.Base{}, b, false), logits(dev, n.Model, model.Base{}, b, false)) {
				t.Error("the model in the directory has other logits")
			}
			got := readJSON(t, filepath.Join(dir, "config.json"))
			maps.Copy(config, map[string]any{
				"id2label": c.id2label, "problem_type": c.problem, "architectures": []any{c.architecture}, "torch_dtype": "float32",
				"label2id": map[string]any{},
			})
			for id, label := range c.id2label {
				config["label2id"].(map[string]any)[label.(string)] = float64(id[0] - '0')
			}
			delete(config, "dtype")
			if !cmp.Equal(got, config) {
				t.Errorf("config.json (-want +got):\n%s", cmp.Diff(config, got))
			}
			if raw, err := os.ReadFile(filepath.Join(dir, "vocab.json")); err != nil || string(raw) != `{"a": 0}` {
				t.Errorf("vocab.json is %q, %v; want the tokenizer's", raw, err)
			}
			if _, err := os.Stat(filepath.Join(dir, "vocab.txt")); !os.IsNotExist(err) {
				t.Errorf("vocab.txt was copied, or %v", err)
			}
		})
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
