package train

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/cpu"
)

// TestRunFromCache trains a model that is given by its name in the cache of the
// Hugging Face hub. The saved adapter contains this name and the model's
// configuration.
func TestRunFromCache(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("HF_HUB_CACHE", cache)
	snapshot := filepath.Join(cache, "models--lor2c--demo", "snapshots", "abc")
	if err := os.MkdirAll(filepath.Join(cache, "models--lor2c--demo", "refs"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(cache, "models--lor2c--demo", "refs", "main"), []byte("abc"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(snapshot, os.DirFS(filepath.Join(demoDir, "model"))); err != nil {
		t.Fatal(err)
	}
	c := demoConfig(t, t.TempDir(), 8)
	c.Method, c.Model, c.Train.Epochs, c.Optim.LR = adapter.NewConfig("full"), "lor2c/demo", 1, 1e-4
	got, err := Run(context.Background(), c, quiet(1))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(got.Out, "final", "lor2c.json"))
	if err != nil {
		t.Fatal(err)
	}
	var description struct{ Base struct{ Path string } }
	if err := json.Unmarshal(raw, &description); err != nil || description.Base.Path != "lor2c/demo" {
		t.Errorf("the base is %q, %v; want its name", description.Base.Path, err)
	}
	if raw, err := os.ReadFile(filepath.Join(got.Out, "final", "config.json")); err != nil ||
		!strings.Contains(string(raw), `"substance"`) {
		t.Errorf("config.json of the full model: %v\n%s", err, raw)
	}
	if raw, err := os.ReadFile(filepath.Join(got.Out, "log.txt")); err != nil ||
		!strings.Contains(string(raw), "model: lor2c/demo is "+snapshot) {
		t.Errorf("the log does not say where the model is: %v\n%s", err, raw)
	}
	if _, err := Evaluate(context.Background(), c, cpu.Open[float32](1), filepath.Join(got.Out, "best"), "dev",
		nil); err != nil {
		t.Error(err)
	}
	// A model that a run wrote is verified before another run begins with it.
	next := *c
	next.Model, next.Out = filepath.Join(got.Out, "final"), filepath.Join(t.TempDir(), "next")
	if _, err := OpenSession(t.Context(), &next); err != nil {
		t.Error(err)
	}
	weights := filepath.Join(next.Model, "model.safetensors")
	raw, err = os.ReadFile(weights)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)-1] ^= 0x40
	if err := os.WriteFile(weights, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenSession(t.Context(), &next); !errors.Is(err, checkpoint.ErrCorrupt) ||
		!strings.Contains(err.Error(), "model.safetensors") {
		t.Errorf("a damaged model: error %v", err)
	}
	// Without the cache the model is not found, and the error contains the command
	// that downloads it.
	t.Setenv("HF_HUB_CACHE", t.TempDir())
	if _, err := OpenSession(t.Context(), c); err == nil ||
		!strings.Contains(err.Error(), "hf download lor2c/demo --local-dir models/demo") {
		t.Errorf("error %v", err)
	}
}
