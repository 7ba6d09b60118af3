package adapter_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/tape"
)

const goldenPEFT = "../../testdata/golden_peft"

// peftGoldens lists the adapters that scripts/golden_peft.py wrote.
func peftGoldens(t *testing.T) []string {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(goldenPEFT, "*coder_*"))
	if err != nil || len(dirs) != 15 {
		t.Fatalf("%d adapters, %v; want 15", len(dirs), err)
	}
	return dirs
}

// ofPEFT is a network with an adapter of PEFT, and what PEFT computes with it.
type ofPEFT struct {
	model.Network
	dev    compute.Device
	method adapter.Method
	batch  model.Batch
	want   []float32
}

// openPEFT restores the adapter in dir on its base model.
func openPEFT(t *testing.T, dir string) ofPEFT {
	t.Helper()
	f, err := checkpoint.Open(filepath.Join(dir, "golden.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ints := func(name string) []int32 { return readInts(t, f, name) }
	g := ofPEFT{dev: cpu.Open[float32](1), batch: model.Batch{IDs: ints("input_ids"), Cu: ints("cu_seqlens")}}
	g.batch.Types = make([]int32, len(g.batch.IDs))
	_, shape, _ := f.Info("logits")
	g.want = make([]float32, compute.Shape(shape).Len())
	if err := f.ReadInto(g.want, "logits"); err != nil {
		t.Fatal(err)
	}
	s, err := adapter.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if strings.HasPrefix(filepath.Base(dir), "decoder") {
		for _, end := range g.batch.Cu[1:] {
			g.batch.Read = append(g.batch.Read, end-1)
		}
		g.Network, err = model.LoadDecoder(g.dev, "../../demo/decoder", 64, nil)
	} else {
		g.Network, err = model.Load(g.dev, filepath.Join(goldenDir, "roberta"),
			model.Head{Outputs: 3, Rows: []int{0, 1, 2}}, 1, nil)
	}
	if err == nil {
		g.method, err = adapter.Attach(g.dev, g.Network, adapter.Settings{Config: s.Method, Structure: s.Structure, Seed: 5})
	}
	if err == nil {
		err = s.Restore(g.dev, g.method, g.Head())
	}
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// logits returns what the network computes with the method, or without it.
func (g ofPEFT) logits(hook model.Hook) []float32 {
	g.dev.Reset()
	pass := g.NewPass(&tape.Tape{Dev: g.dev}, g.batch, hook)
	out := g.Forward(pass)
	if c, ok := g.Network.(model.Causal); ok {
		out = pass.Linear(out, c.Vocabulary(), nil, compute.Identity)
	}
	return download(g.dev, out.Value)
}

// TestGoldenPEFT: adapters of every kind that PEFT wrote, without a file of lor2c beside them, give the logits that
// PEFT computes with them, on an encoder and on a decoder.
func TestGoldenPEFT(t *testing.T) {
	for _, dir := range peftGoldens(t) {
		t.Run("adapter="+filepath.Base(dir), func(t *testing.T) {
			g := openPEFT(t, dir)
			g.method.Begin(adapter.At{})
			if e := relative(g.logits(g.method.Hook(adapter.At{})), g.want); !(e < 1e-5) {
				t.Errorf("logits are %.2g away from those of PEFT", e)
			}
			if e := relative(g.logits(model.Base{}), g.want); !(e > 1e-3) {
				t.Errorf("without the adapter the logits are only %.2g away", e)
			}
		})
	}
}

// TestGoldenPEFTSaved: what lor2c writes of an adapter of PEFT has the tensors that PEFT wrote, and computes the same
// when it is read again.
func TestGoldenPEFTSaved(t *testing.T) {
	for _, name := range []string{"decoder_prefix", "decoder_adalora", "encoder_ia3", "encoder_vera", "encoder_dora"} {
		t.Run("adapter="+name, func(t *testing.T) {
			from := filepath.Join(goldenPEFT, name)
			g, dir := openPEFT(t, from), t.TempDir()
			s, err := adapter.Open(from)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			d := s.Description
			d.Base.Layers = g.HiddenLayers()
			if err := adapter.Save(dir, g.dev, d, g.method, g.Head()); err != nil {
				t.Fatal(err)
			}
			if before, after := tensorShapes(t, from), tensorShapes(t, dir); name != "decoder_adalora" &&
				!maps.Equal(before, after) { // which lor2c writes with the rows that the pattern leaves out
				t.Errorf("tensors %v; PEFT wrote %v", after, before)
			}
			again, err := adapter.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			head, err := adapter.Attach(g.dev, g.Network,
				adapter.Settings{Config: again.Method, Structure: again.Structure, Seed: 9})
			if err == nil {
				err = again.Restore(g.dev, head, g.Head())
			}
			if err != nil {
				t.Fatal(err)
			}
			if !sameBits(g.logits(head.Hook(adapter.At{})), g.logits(g.method.Hook(adapter.At{}))) {
				t.Error("the logits have changed")
			}
		})
	}
}

// tensorShapes returns the shapes of the tensors of an adapter by name.
func tensorShapes(t *testing.T, dir string) map[string]string {
	t.Helper()
	f, err := checkpoint.Open(filepath.Join(dir, "adapter_model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	shapes := map[string]string{}
	for _, name := range f.Names() {
		_, shape, _ := f.Info(name)
		shapes[name] = fmt.Sprint(shape)
	}
	return shapes
}

// TestGoldenPEFTFaults: a key of an adapter of PEFT with a value that lor2c does not compute, or that does not fit the
// tensors, is named.
func TestGoldenPEFTFaults(t *testing.T) {
	for _, c := range []struct {
		adapter, key string
		value        any
		want         string
	}{
		{"encoder_vera", "save_projection", false, "save_projection is false, so that the random matrices are not in the " +
			"adapter, and only PyTorch draws them again; want an adapter with save_projection"},
		{"encoder_vera", "r", 300, "r: is 300; want 1 to 256"},
		{"encoder_vera", "bias", "all", `bias is "all"; lor2c reads plain VeRA adapters of PEFT`},
		{"encoder_ia3", "fan_in_fan_out", true, "fan_in_fan_out is true; lor2c reads plain IA3 adapters of PEFT"},
		{"decoder_prefix", "task_type", "SEQ_CLS", `task_type is "SEQ_CLS"; PEFT has prefix tuning of CAUSAL_LM, and none ` +
			"of the encoders that lor2c reads"},
		{"decoder_prefix", "num_transformer_submodules", 2, "num_transformer_submodules is 2; want 1, as for a decoder"},
		{"decoder_prefix", "num_layers", 0, "num_layers is 0; want 1 to 1000"},
		{"decoder_adalora", "init_r", 0, "init_r is 0; want at least 1"},
		{"decoder_adalora", "init_r", 5, "and init_r is 5; want a list of true and false for each linear layer"},
		{"decoder_adalora", "rank_pattern", map[string]any{"x.lora_E": "all"},
			"rank_pattern: the text holds a JSON string, not an array; want a list of true and false"},
		{"decoder_adalora", "rank_pattern", nil, "and adapter_config.json gives it 4"},
		{"decoder_adalora", "alpha_pattern", map[string]any{"q_proj": 3},
			`alpha_pattern is {"q_proj":3}; lor2c reads plain AdaLoRA adapters of PEFT`},
		{"encoder_dora", "lora_bias", true, "lora_bias is true; lor2c reads plain DoRA adapters of PEFT"},
		{"encoder_dora", "use_dora", false, "does not adapt a linear layer of any layer; lor2c reads LoRA on"},
	} {
		t.Run(fmt.Sprintf("%s/%s=%.10v", c.adapter, c.key, c.value), func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(filepath.Join(goldenPEFT, c.adapter))); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "adapter_config.json")
			config := readJSON(t, path)
			if config[c.key] = c.value; c.value == nil {
				delete(config, c.key)
			}
			raw, err := json.Marshal(config)
			if err == nil {
				err = os.WriteFile(path, raw, 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
			s, err := adapter.Open(dir)
			if err == nil {
				s.Close()
			}
			if err == nil || !strings.HasPrefix(err.Error(), "adapter: open "+dir) || !strings.Contains(err.Error(), c.want) ||
				strings.Contains(err.Error(), "\n") {
				t.Errorf("error\n%v\nwant one with\n%s", err, c.want)
			}
			if known := []string{"r", "init_r"}; !slices.Contains(known, c.key) && !errors.Is(err, adapter.ErrMismatch) {
				t.Errorf("error %v is not ErrMismatch", err)
			}
		})
	}
}
