package train

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/optim"
	"github.com/lor2c/lor2c/internal/tokenizer"
)

// shared returns a path in the folder of models and data that are too large for this repository.
func shared(t *testing.T, path ...string) string {
	t.Helper()
	root := os.Getenv("LOR2C_SHARED")
	if root == "" {
		t.Skip("LOR2C_SHARED is not set; it names a folder with models, data and design/decoder")
	}
	return filepath.Join(append([]string{root}, path...)...)
}

func readShared(t *testing.T, v any, path ...string) {
	t.Helper()
	raw, err := os.ReadFile(shared(t, path...))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, v); err != nil {
		t.Fatal(err)
	}
}

// alpaca returns the first rows of Alpaca as token ids: the prompt of Alpaca-LoRA and the output, cut off, with eos
// where it is shorter.
func alpaca(t *testing.T, tok *tokenizer.Tokenizer, rows, cutoff int, bos []int32, eos int32) (all [][]int32) {
	t.Helper()
	var data []struct{ Instruction, Input, Output string }
	readShared(t, &data, "data", "eval", "alpaca", "alpaca_small_2000.json")
	for _, r := range data[:rows] {
		text := "Below is an instruction that describes a task"
		if r.Input != "" {
			text += ", paired with an input that provides further context. Write a response that appropriately completes " +
				"the request.\n\n### Instruction:\n" + r.Instruction + "\n\n### Input:\n" + r.Input + "\n\n### Response:\n"
		} else {
			text += ". Write a response that appropriately completes the request.\n\n### Instruction:\n" + r.Instruction +
				"\n\n### Response:\n"
		}
		ids := tok.AppendIDs(append([]int32{}, bos...), text+r.Output, false)
		if len(ids) < cutoff {
			ids = append(ids, eos)
		}
		all = append(all, ids[:min(len(ids), cutoff)])
	}
	return all
}

// TestSharedFineTuning repeats ten steps of LoRA in PyTorch: the loss and the norm of the gradient of every step, and
// the adapter at the end.
func TestSharedFineTuning(t *testing.T) {
	for name, c := range map[string]struct {
		model           string
		perStep, cutoff int
		bos             []int32
		tokenizer       string
	}{
		"stories15M_100": {"models/stories15M", 10, 256, []int32{1}, "data/tokenizers/llama2/tokenizer.model"},
		"smollm2_10":     {"models/smollm2", 1, 96, nil, ""},
	} {
		t.Run("model="+name, func(t *testing.T) {
			var golden struct {
				Lengths []int
				First   []int32 `json:"ids_row0"`
				Steps   []struct {
					Loss     float64
					GradNorm float64 `json:"grad_norm"`
				}
			}
			readShared(t, &golden, "design", "decoder", "lora_golden_"+name+".json")
			dir := shared(t, c.model)
			if _, err := os.Stat(dir); err != nil {
				t.Skipf("%v; models/README.md says how to make it", err)
			}
			words := dir
			if c.tokenizer != "" {
				words = t.TempDir() // without the tokenizer.json beside it, which is another model's
				raw, err := os.ReadFile(shared(t, c.tokenizer))
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(words, "tokenizer.model"), raw, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			tok, err := tokenizer.Load(words)
			if err != nil {
				t.Fatal(err)
			}
			rows := alpaca(t, tok, 10*c.perStep, c.cutoff, c.bos, 2)
			for i, want := range golden.Lengths {
				if len(rows[i]) != want {
					t.Fatalf("row %d has %d tokens; want %d", i, len(rows[i]), want)
				}
			}
			if fmt.Sprint(rows[0]) != fmt.Sprint(golden.First) {
				t.Fatalf("row 0 is %v; want %v", rows[0], golden.First)
			}
			dev := cpu.Open[float32](2)
			m, err := model.LoadDecoder(dev, dir, c.cutoff, nil)
			if err != nil {
				t.Fatal(err)
			}
			a := adapter.Configure("lora", adapter.Values{
				"rank": 8, "alpha": 16.0, "dropout": 0.0, "target_modules": []string{"q_proj", "v_proj"},
			})
			a.Resolve()
			method, err := adapter.Attach(dev, m, adapter.Settings{Config: a, Seed: 1})
			if err != nil {
				t.Fatal(err)
			}
			file := func(kind string) *checkpoint.File {
				f, err := checkpoint.Open(shared(t, "design", "decoder", "lora_golden_"+name+"_"+kind+".safetensors"))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { f.Close() })
				return f
			}
			values := func(f *checkpoint.File, name string, n int) []float32 {
				v := make([]float32, n)
				if err := f.ReadInto(v, name); err != nil {
					t.Fatal(err)
				}
				return v
			}
			begin, end := file("init"), file("final")
			for _, p := range method.Params() {
				if strings.Contains(p.Name, "lora_A") {
					p.Upload(dev, values(begin, p.Name, p.Value.Shape.Len()))
				}
			}
			o := optim.Config{LR: 3e-4, HeadLRRatio: 1, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Schedule: "constant"}
			s := NewStepper(dev, m, method, o, 1, NextToken(m.Vocabulary(), ReduceTokens), 10)
			for i, want := range golden.Steps {
				b := causal(rows[i*c.perStep:(i+1)*c.perStep], c.cutoff)
				if err := s.Step(i+1, []model.Batch{b}, 1); err != nil {
					t.Fatal(err)
				}
				r, err := s.Reports(i+1, i+1)
				if err != nil {
					t.Fatal(err)
				}
				if got := r[0].Loss; !(math.Abs(got-want.Loss) < 1e-4*want.Loss) {
					t.Errorf("step %d: loss %v; want %v", i+1, got, want.Loss)
				}
				if got := r[0].GradNorm; !(math.Abs(got-want.GradNorm) < 1e-3*want.GradNorm) {
					t.Errorf("step %d: gradient norm %v; want %v", i+1, got, want.GradNorm)
				}
			}
			// AdamW divides by the gradient, so rounding shows in single elements whose gradient is nearly 0.
			difference, size := 0.0, 0.0
			for _, p := range method.Params() {
				got := p.Values(dev)
				for i, want := range values(end, p.Name, len(got)) {
					difference += math.Pow(float64(got[i]-want), 2)
					if strings.Contains(p.Name, "lora_B") {
						size += math.Pow(float64(want), 2)
					}
				}
			}
			if e := math.Sqrt(difference / size); !(e < 1e-2) {
				t.Errorf("the adapter ends with a relative error of %.3g", e)
			}
		})
	}
}

// TestSharedLosses compares the losses of trained models with those of transformers: of a text, and of four sequences
// in one pack.
func TestSharedLosses(t *testing.T) {
	evaluate := func(t *testing.T, dir string, tokens int, sequences [][]int32) Evaluation {
		t.Helper()
		if _, err := os.Stat(dir); err != nil {
			t.Skipf("%v; models/README.md says how to make it", err)
		}
		dev := cpu.Open[float32](2)
		m, err := model.LoadDecoder(dev, dir, tokens, nil)
		if err != nil {
			t.Fatal(err)
		}
		o := NextToken(m.Vocabulary(), ReduceTokens)
		s := &Stepper{Dev: dev, Model: m, Method: plainMethod{}, Objective: o}
		b := causal(sequences, tokens)
		values, err := s.Results(b)
		if err != nil {
			t.Fatal(err)
		}
		sum, err := o.tally(nil)
		if err != nil {
			t.Fatal(err)
		}
		sum.add(values, b)
		return sum.evaluation()
	}
	t.Run("model=smollm2", func(t *testing.T) {
		var golden struct {
			IDs []int32
			NLL float64 `json:"nll_bf16_weights_f32_compute"`
		}
		readShared(t, &golden, "design", "decoder", "smollm2_nll.json")
		// 4.9351 if the rows of queries and keys were those of GGUF.
		if e := evaluate(t, shared(t, "models", "smollm2"), 128,
			[][]int32{golden.IDs}); !(math.Abs(e.Loss-golden.NLL) < 1e-4) {
			t.Errorf("the loss is %v; want %v", e.Loss, golden.NLL)
		}
	})
	t.Run("model=stories15M", func(t *testing.T) {
		var golden struct {
			Stories struct {
				IDs []int32 `json:"nll_ids"`
				NLL float64
			} `json:"stories15M"`
		}
		readShared(t, &golden, "design", "decoder", "stories_golden.json")
		e := evaluate(t, shared(t, "models", "stories15M"), 128, [][]int32{golden.Stories.IDs})
		if !(math.Abs(e.Loss-golden.Stories.NLL) < 1e-4) {
			t.Errorf("the loss is %v; want %v", e.Loss, golden.Stories.NLL)
		}
	})
	t.Run("model=stories15M/layout=packed", func(t *testing.T) {
		var golden map[string]any
		readShared(t, &golden, "design", "decoder", "layouts_stories15M.json")
		words := t.TempDir()
		raw, err := os.ReadFile(shared(t, "data/tokenizers/llama2/tokenizer.model"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(words, "tokenizer.model"), raw, 0o644); err != nil {
			t.Fatal(err)
		}
		tok, err := tokenizer.Load(words)
		if err != nil {
			t.Fatal(err)
		}
		rows := alpaca(t, tok, 4, 120, []int32{1}, 2)
		want := golden["one at a time"].(float64)
		if e := evaluate(t, shared(t, "models", "stories15M"), 120, rows); !(math.Abs(e.Loss-want) < 1e-5) {
			t.Errorf("the loss is %v; want %v", e.Loss, want)
		}
	})
}
