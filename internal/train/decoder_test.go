package train

import (
	"fmt"
	"math"
	"path/filepath"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/optim"
)

// decoderCase is one case of scripts/golden_decoder.py.
type decoderCase struct {
	name, method string
	file         *checkpoint.File
}

func decoderCases(t *testing.T) (cases []decoderCase) {
	t.Helper()
	for name, method := range map[string]string{
		"llama": "lora", "llama_tied": "full", "llama_bias": "lor2c", "llama_yarn": "lora", "mistral": "lora",
		"qwen2": "lor2c", "qwen3": "full",
	} {
		f, err := checkpoint.Open(filepath.Join("../../testdata/golden_decoder", name, "golden.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		cases = append(cases, decoderCase{name, method, f})
	}
	return cases
}

func (c decoderCase) floats(t *testing.T, name string) []float32 {
	t.Helper()
	g := golden{file: c.file}
	return g.floats(t, name)
}

// sequences returns the token ids of the case.
func (c decoderCase) sequences(t *testing.T) (all [][]int32) {
	t.Helper()
	g := golden{file: c.file}
	ids := g.ints(t, "input_ids")
	for _, n := range g.ints(t, "lengths") {
		all = append(all, ids[:n])
		ids = ids[n:]
	}
	return all
}

// causal packs sequences whose tokens are all predicted but the first, or in which only the last few are.
func causal(sequences [][]int32, last int) model.Batch {
	b := model.Batch{Cu: []int32{0}, Read: []int32{}}
	for _, ids := range sequences {
		for i := max(0, len(ids)-1-last); i < len(ids)-1; i++ {
			b.Read, b.Next = append(b.Read, int32(len(b.IDs)+i)), append(b.Next, ids[i+1])
		}
		b.IDs = append(b.IDs, ids...)
		b.Cu = append(b.Cu, int32(len(b.IDs)))
	}
	return b
}

// decoderStepper returns a stepper of a decoder in dir with a method whose values are those of the case.
func (c decoderCase) stepper(t *testing.T, dev compute.Device, reduction string) *Stepper {
	t.Helper()
	a := adapter.Configure(c.method, adapter.Values{
		"rank": 3, "alpha": 6.0, "dropout": 0.0, "target_modules": []string{"q_proj", "v_proj"},
	})
	a.Resolve()
	m, err := model.LoadDecoder(dev, filepath.Join("../../testdata/golden_decoder", c.name), 40, a.Trains())
	if err != nil {
		t.Fatal(err)
	}
	method, err := adapter.Attach(dev, m, adapter.Settings{Config: a, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range method.Params() {
		if c.method != "full" {
			p.Upload(dev, c.floats(t, "param."+p.Name))
		}
	}
	return NewStepper(dev, m, method, optim.Default(), 1, NextToken(m.Vocabulary(), reduction), 1)
}

// TestDecoderGradients compares the loss of a pack and the gradient of every parameter with those of PyTorch, for
// LoRA, LoR2C and full fine-tuning, where all tokens are predicted and where only the last are. The pack is one batch,
// or one micro-batch for each sequence.
func TestDecoderGradients(t *testing.T) {
	for _, c := range decoderCases(t) {
		all := c.sequences(t)
		for _, kind := range []string{ReduceTokens, ReduceExamples, "response"} {
			for _, split := range []bool{false, true} {
				name := fmt.Sprintf("model=%s/method=%s/loss=%s/split=%t", c.name, c.method, kind, split)
				t.Run(name, func(t *testing.T) {
					reduction, last, sequences := kind, 1000, all[1:] // the first sequence has no token to predict
					if kind == "response" {
						reduction, last, sequences = ReduceTokens, 3, all[len(all)-1:]
					}
					dev := cpu.Open[float64](2)
					s := c.stepper(t, dev, reduction)
					micro := []model.Batch{causal(append([][]int32{all[0]}, sequences...), last)}
					if split {
						micro = nil
						for _, ids := range sequences {
							micro = append(micro, causal([][]int32{ids}, last))
						}
					}
					for _, b := range micro {
						if err := s.Model.Check(b); err != nil {
							t.Fatal(err)
						}
					}
					s.gradient(1, micro, nil)
					// transformers computes norms and softmax in float32 whatever the type of the model.
					if got, want := cpu.Data[float64](s.loss)[0], float64(c.floats(t,
						"loss."+kind)[0]); !(math.Abs(got-want) < 1e-5*want) {
						t.Errorf("the loss is %v; want %v", got, want)
					}
					if c.method == "full" && kind != ReduceTokens {
						return
					}
					for _, p := range s.Method.Params() {
						want := c.floats(t, "grad."+kind+"."+p.Name)
						got := make([]float32, len(want))
						dev.Download(got, p.Grad)
						if e := relative(got, want); !(e < 2e-5) {
							t.Errorf("the gradient of %s has a relative error of %.3g", p.Name, e)
						}
					}
				})
			}
		}
	}
}
