package train

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/cpu"
)

// TestOpenSession checks what is refused before a device is used.
func TestOpenSession(t *testing.T) {
	tests := []struct {
		name   string
		change func(t *testing.T, c *config.Config)
		want   string
	}{
		{"vocabulary", func(t *testing.T, c *config.Config) {
			c.Model = demoModel(t, `"vocab_size": 4096`, `"vocab_size": 100`)
		}, "it has 4096 tokens and the embedding of the model has 100 rows; use tokenizer and weights of the same model"},
		{"length", func(_ *testing.T, c *config.Config) { c.Data.MaxLength = 129 },
			"data.max_length is 129, longer than the model's position table; want at most 128"},
		{"architecture", func(t *testing.T, c *config.Config) {
			c.Model = demoModel(t, `"model_type": "roberta"`, `"model_type": "gpt2"`)
		}, `model_type is "gpt2"; want roberta, xlm-roberta, camembert, bert, mpnet or distilbert`},
		{"no-special-tokens", func(t *testing.T, c *config.Config) {
			// The tokenizer of a decoder has no token before a text.
			c.Model = demoModel(t, `"model_type"`, `"model_type"`)
			raw, err := os.ReadFile(filepath.Join("..", "tokenizer", "testdata", "qwen", "tokenizer.json"))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(c.Model, "tokenizer.json"), raw, 0o644); err != nil {
				t.Fatal(err)
			}
		}, "the tokenizer puts no special token before a text, but the head of an encoder reads the first one"},
	}
	for _, tt := range tests {
		t.Run("fault="+tt.name, func(t *testing.T) {
			c := demoConfig(t, t.TempDir(), 8)
			tt.change(t, c)
			if _, err := OpenSession(t.Context(), c); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %v; want one with %q", err, tt.want)
			}
		})
	}
	t.Run("length=of-task", func(t *testing.T) {
		c := demoConfig(t, t.TempDir(), 8)
		c.Data.MaxLength = 0
		if s, err := OpenSession(t.Context(), c); err != nil || s.MaxLength != 128 {
			t.Errorf("maximum length %d, error %v; want the 128 positions of the model", s.MaxLength, err)
		}
	})
}

// demoModel returns a copy of the demo's model with a changed line in its
// config.json.
func demoModel(t *testing.T, old, changed string) string {
	t.Helper()
	dir := t.TempDir()
	from := filepath.Join(demoDir, "model")
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		raw, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if e.Name() == "config.json" {
			if !strings.Contains(string(raw), old) {
				t.Fatalf("config.json has no %s", old)
			}
			raw = []byte(strings.Replace(string(raw), old, changed, 1))
		}
		if err := os.WriteFile(filepath.Join(dir, e.Name()), raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestEvaluateElsewhere: an evaluation needs neither the training file nor its
// order of labels, and labels in another order are refused.
func TestEvaluateElsewhere(t *testing.T) {
	c := demoConfig(t, t.TempDir(), 16)
	c.Train.Epochs = 1
	got, err := Run(context.Background(), c, quiet(1))
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := *c
	elsewhere.Data.Train, elsewhere.Data.Labels = "", nil
	e, err := Evaluate(context.Background(), &elsewhere, cpu.Open[float32](1), filepath.Join(c.Out, "best"), "dev", nil)
	if err != nil {
		t.Fatal(err)
	}
	if e.Loss != got.Dev.Loss {
		t.Errorf("loss %v; training logged %v", e.Loss, got.Dev.Loss)
	}
	if e.Before.Examples != e.Examples || e.Changed() != "" {
		t.Errorf("before %v, now %v: %s; want the same", e.Before, e.Content, e.Changed())
	}
	e.Content.Examples++
	if !strings.HasPrefix(e.Changed(), "note: dev has changed since the run, ") {
		t.Errorf("other examples: %q", e.Changed())
	}
	other := *c
	other.Data.Labels = append([]string{"plant"}, c.Data.Labels[:len(c.Data.Labels)-2]...)
	other.Data.Labels = append(other.Data.Labels, "substance")
	_, err = Evaluate(context.Background(), &other, cpu.Open[float32](1), filepath.Join(c.Out, "best"), "dev", nil)
	if !errors.Is(err, adapter.ErrMismatch) ||
		!strings.Contains(err.Error(), "use data with the adapter's labels in the same order") {
		t.Errorf("labels of another order: %v", err)
	}
}
