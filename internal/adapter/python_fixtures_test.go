package adapter_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/model"
)

// pythonFixtures are the adapters with which the tests of the Python package lor2c_peft compare its logits.
// LOR2C_UPDATE=1 writes them again.
var pythonFixtures = []struct {
	name, base string // directories in python/tests/fixtures and in the repository
	values     adapter.Values
	change     func(*adapter.LoR2C)
}{
	{"bert", "testdata/golden/bert", adapter.Values{}, nil},
	{"bert_span", "testdata/golden/bert", adapter.Values{}, func(m *adapter.LoR2C) { m.Merge(0, 1, 1) }},
	{"mpnet_im", "testdata/golden/mpnet", adapter.Values{"target_modules": []string{"q", "v"}},
		func(m *adapter.LoR2C) { m.Inject(2); m.Merge(0, 1, 0) }},
	{"distilbert_im", "testdata/golden_encoders/distilbert", adapter.Values{"target_modules": []string{"q_lin", "v_lin"}},
		func(m *adapter.LoR2C) { m.Inject(2); m.Merge(0, 1, 0) }},
	{"roberta_im", "testdata/golden/roberta", adapter.Values{"target_modules": queryValue, "inject_alpha": 6},
		func(m *adapter.LoR2C) { m.Inject(2); m.Merge(0, 1, 1) }},
	{"roberta_share", "testdata/golden/roberta", adapter.Values{"share": true},
		func(m *adapter.LoR2C) { m.Merge(1, 2, 2) }},
	{"xlmroberta_im", "testdata/golden_encoders/xlm-roberta", adapter.Values{"target_modules": queryValue},
		func(m *adapter.LoR2C) { m.Inject(1) }},
	{"decoder_im", "demo/decoder", adapter.Values{"target_modules": []string{"q_proj", "v_proj", "down_proj"}},
		func(m *adapter.LoR2C) { m.Merge(0, 1, 1); m.Merge(0, 2, 0); m.Inject(4) }},
	{"decoder_share", "demo/decoder", adapter.Values{"share": true}, nil},
}

// expected is the content of expected.json: tokens, and the logits of an encoder or of the token after the last one.
type expected struct {
	InputIDs [][]int32   `json:"input_ids"`
	Logits   [][]float32 `json:"logits"`
}

// TestPythonFixtures: the directories that the Python tests read give the logits beside them, and Python must give the
// same.
func TestPythonFixtures(t *testing.T) {
	for _, f := range pythonFixtures {
		t.Run("adapter="+f.name, func(t *testing.T) {
			dir, dev := filepath.Join("../../python/tests/fixtures", f.name), cpu.Open[float32](1)
			if os.Getenv("LOR2C_UPDATE") != "" {
				writeFixture(t, dev, dir, f.base, f.values, f.change)
			}
			raw, err := os.ReadFile(filepath.Join(dir, "expected.json"))
			if err != nil {
				t.Fatal(err)
			}
			var want expected
			if err := json.Unmarshal(raw, &want); err != nil {
				t.Fatal(err)
			}
			got := fixtureLogits(t, dev, dir, f.base, want.InputIDs)
			for i, row := range want.Logits {
				if e := relative(got[i], row); len(row) != len(got[i]) || !(e < 1e-5) {
					t.Errorf("row %d: %d logits, %.2g away from those of expected.json", i, len(got[i]), e)
				}
			}
		})
	}
}

// writeFixture writes an adapter whose B are not zero, and its logits.
func writeFixture(
	t *testing.T, dev compute.Device, dir, base string, values adapter.Values, change func(*adapter.LoR2C),
) {
	t.Helper()
	n, kind := fixtureBase(t, dev, base)
	c := adapter.Configure("lor2c", adapter.Values{"rank": 4, "alpha": 6}).With(values)
	c.Resolve()
	m, err := adapter.Attach(dev, n, adapter.Settings{Config: c, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(m.(*adapter.LoR2C))
	}
	for _, p := range m.Params() {
		if strings.Contains(p.Name, "lora_B") {
			v := make([]float32, p.Value.Shape.Len())
			compute.Normal(v, 3, p.Name, 0.2)
			p.Upload(dev, v)
		}
	}
	sum, err := adapter.Fingerprint(filepath.Join("../..", base))
	if err == nil {
		err = os.MkdirAll(dir, 0o777)
	}
	if err != nil {
		t.Fatal(err)
	}
	d := adapter.Description{Method: c, Base: adapter.Base{Path: base, SHA256: sum, Type: kind, Width: n.HiddenSize(),
		Layers: n.HiddenLayers()}, Task: adapter.Task{Name: "instruct"}, MaxLength: 16}
	if len(n.Head()) > 0 {
		d.Task = adapter.Task{Name: "custom", Labels: []string{"no", "maybe", "yes"}}
	}
	if err := adapter.Save(dir, dev, d, m, n.Head()); err != nil {
		t.Fatal(err)
	}
	tokens := [][]int32{{0, 5, 6, 20, 2}, {0, 9, 11, 12, 7, 8, 14, 13, 2}}
	out := expected{tokens, fixtureLogits(t, dev, dir, base, tokens)}
	if err := checkpoint.WriteJSON(filepath.Join(dir, "expected.json"), out); err != nil {
		t.Fatal(err)
	}
}

// fixtureLogits restores the adapter in dir on a base model and returns the logits of each row.
func fixtureLogits(t *testing.T, dev compute.Device, dir, base string, tokens [][]int32) (rows [][]float32) {
	t.Helper()
	s, err := adapter.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	n, _ := fixtureBase(t, dev, base)
	m, err := adapter.Attach(dev, n, adapter.Settings{Config: s.Method, Structure: s.Structure, Seed: 2})
	if err == nil {
		err = s.Restore(dev, m, n.Head())
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, ids := range tokens {
		b := model.Batch{IDs: ids, Types: make([]int32, len(ids)), Cu: []int32{0, int32(len(ids))}}
		if len(n.Head()) == 0 {
			b.Read = []int32{int32(len(ids)) - 1}
		}
		rows = append(rows, ofPEFT{n, dev, m, b, nil}.logits(m.Hook(adapter.At{})))
	}
	return rows
}

// fixtureBase loads a base model with a head for three labels, or a decoder, and returns its model_type.
func fixtureBase(t *testing.T, dev compute.Device, base string) (n model.Network, kind string) {
	t.Helper()
	dir, kind := filepath.Join("../..", base), "llama"
	var err error
	if base == "demo/decoder" {
		n, err = model.LoadDecoder(dev, dir, 64, nil)
	} else {
		n, err = model.Load(dev, dir, model.Head{Outputs: 3, Rows: []int{0, 1, 2}}, 1, nil)
		kind = filepath.Base(base)
	}
	if err != nil {
		t.Fatal(err)
	}
	return n, kind
}
