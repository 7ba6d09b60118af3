package adapter_test

import (
	"path/filepath"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/cpu"
)

// TestVeRAFile: the shared matrices have the names that PEFT looks for. PEFT draws its own where it does not find them.
func TestVeRAFile(t *testing.T) {
	dev, base := cpu.Open[float32](1), filepath.Join(goldenDir, "roberta")
	config := adapter.Configure("vera", adapter.Values{"rank": 4})
	n := goldenNetwork(t, dev, base, config, 1)
	dir := saved(t, n, describe(t, n, base, config))
	f, err := checkpoint.Open(filepath.Join(dir, "adapter_model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, name := range []string{
		"base_model.vera_A", "base_model.vera_B",
		"base_model.model.roberta.encoder.layer.0.attention.self.query.vera_lambda_b",
		"base_model.model.roberta.encoder.layer.2.attention.self.value.vera_lambda_d",
	} {
		if _, _, ok := f.Info(name); !ok {
			t.Errorf("the adapter has no %s; it has %q", name, f.Names())
		}
	}
}
