package model_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/model"
)

// FuzzReadConfig loads tiny weights with an arbitrary config.json. Either it is
// refused with an error of one line, or the model has the sizes of the weights.
func FuzzReadConfig(f *testing.F) {
	for _, name := range encoders {
		raw, err := os.ReadFile(filepath.Join(golden(name), "config.json"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	bad, err := filepath.Glob(filepath.Join("testdata", "*", "config.json"))
	if err != nil || len(bad) < 20 {
		f.Fatalf("%d seeds, %v", len(bad), err)
	}
	for _, path := range bad {
		raw, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	weights, err := checkpoint.OpenModel(filepath.Join(goldenDir, "roberta"))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = weights.Close() })
	copied, err := os.ReadFile(weights.Files()[0])
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		dir := t.TempDir()
		for name, content := range map[string][]byte{"config.json": raw, "model.safetensors": copied} {
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		m, err := model.Load(cpu.Open[float32](1), dir, model.Head{Outputs: 2}, 1, nil)
		if err != nil {
			if m != nil || !strings.HasPrefix(err.Error(), "model: ") || strings.ContainsAny(err.Error(), "\x00\x1b\r") {
				t.Errorf("%v, %q", m != nil, err)
			}
			return
		}
		if m.Layers != 3 || m.Width != 32 || m.FF != 64 || m.Vocab != 120 || m.Positions != 42 || m.Types != 1 {
			t.Errorf("a model of other sizes than the weights: %+v", m.Config)
		}
	})
}
