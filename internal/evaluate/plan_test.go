package evaluate

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/benchmark"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/compute/computetest"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/generate"
)

// TestPlan: an evaluation with likelihoods, with answers or of a text has the memory that was planned before the model
// was loaded, and allocates no more. One that does not fit is refused by its plan.
func TestPlan(t *testing.T) {
	texts, err := generate.Open(generate.Source{Model: demo})
	if err != nil {
		t.Fatal(err)
	}
	defer texts.Close()
	m, _ := opened(t, demo)
	book := filepath.Join(t.TempDir(), "book.txt")
	if err := os.WriteFile(book, []byte(strings.Repeat("Once upon a time there was a dog. ", 40)), 0o600); err != nil {
		t.Fatal(err)
	}
	const questions = "../../demo/benchmarks"
	for name, open := range map[string]func(s Settings) (*Evaluation, error){
		"mmlu/lm-eval": func(s Settings) (*Evaluation, error) {
			return Benchmark(load(t, "mmlu", questions, benchmark.LMEval), m, s)
		},
		"mmlu/instruct-eval": func(s Settings) (*Evaluation, error) {
			return Benchmark(load(t, "mmlu", questions, benchmark.InstructEval), m, s)
		},
		"perplexity": func(s Settings) (*Evaluation, error) { return Perplexity(t.Context(), book, m, s) },
	} {
		t.Run("task="+name, func(t *testing.T) {
			e, err := open(settings(t.TempDir()))
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			dev := &computetest.Limited{Device: cpu.Open[float32](1), Memory: 1 << 40}
			plan, err := e.Plan(t.Context(), texts, dev)
			if err != nil {
				t.Fatal(err)
			}
			g, err := texts.LoadPlanned(dev, plan, 1)
			if err != nil {
				t.Fatal(err)
			}
			before := dev.Stats()
			if err := e.Run(t.Context(), g); err != nil {
				t.Fatal(err)
			}
			after := dev.Stats()
			if after.Grown != before.Grown || after.PersistentBytes != plan.Weights+plan.Cache {
				t.Errorf("the arena grew %d times, and %d bytes are allocated; want none, and %d",
					after.Grown-before.Grown, after.PersistentBytes, plan.Weights+plan.Cache)
			}
			dev = &computetest.Limited{Device: cpu.Open[float32](1), Memory: plan.Weights + plan.Arena}
			if _, err := e.Plan(t.Context(), texts, dev); !errors.Is(err, compute.ErrOutOfMemory) ||
				!strings.Contains(err.Error(), "needed for one text of ") {
				t.Errorf("without memory for keys and values, the error is %v", err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := e.Plan(ctx, texts, dev); !errors.Is(err, generate.ErrInterrupted) {
				t.Errorf("interrupted: %v", err)
			}
		})
	}
}
