package nulldev_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/compute/nulldev"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/optim"
	"github.com/lor2c/lor2c/internal/train"
)

// methods returns the configurations whose memory is predicted.
func methods() map[string]adapter.Config {
	p := 0.1
	return map[string]adapter.Config{
		"lor2c": adapter.Configure("lor2c", adapter.Values{"rank": 8, "alpha": 16, "dropout": p}),
		"share": adapter.Configure("lor2c", adapter.Values{"rank": 8, "alpha": 16, "dropout": p, "share": true}),
		"lora": adapter.Configure("lora",
			adapter.Values{"rank": 8, "alpha": 16, "dropout": p, "target_modules": []string{"query", "value"}}),
		"lora_all": adapter.Configure("lora",
			adapter.Values{"rank": 4, "alpha": 16, "dropout": p, "target_modules": model.SiteNames}),
		"full": adapter.NewConfig("full"),
		"head": adapter.NewConfig("head"),
	}
}

// stepper attaches a method to m, with every dropout enabled.
func stepper(t *testing.T, dev compute.Device, m *model.Encoder, c adapter.Config) *train.Stepper {
	t.Helper()
	m.HiddenDropout, m.AttentionDropout, m.ClassifierDropout = 0.1, 0.1, nil
	if list, ok := c.Value("target_modules").([]string); ok {
		c = c.With(adapter.Values{"target_modules": sitesOf(m, list)})
	}
	method, err := adapter.Attach(dev, m, adapter.Settings{Config: c, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	return train.NewStepper(dev, m, method, optim.Default(), 1, train.Classification(dev, 2, nil, 0), 1)
}

// sitesOf returns the linear layers of m that have the places of those of BERT.
func sitesOf(m *model.Encoder, list []string) (own []string) {
	for i, name := range model.SiteNames {
		for _, target := range list {
			if name == target || strings.HasSuffix(name, "."+target) {
				own = append(own, model.EncoderSites(m.Type)[i])
				break
			}
		}
	}
	return own
}

// batch has the given lengths.
func batch(lengths ...int) (b model.Batch) {
	b.Cu = []int32{0}
	for _, n := range lengths {
		b.IDs, b.Types = append(b.IDs, make([]int32, n)...), append(b.Types, make([]int32, n)...)
		b.Cu, b.Labels = append(b.Cu, int32(len(b.IDs))), append(b.Labels, 1)
	}
	return b
}

// TestPeak runs the same step on this device and on the CPU, and compares the predicted bytes with the bytes used.
func TestPeak(t *testing.T) {
	for _, kind := range []string{"golden/roberta", "golden/bert", "golden/mpnet", "golden_encoders/distilbert"} {
		for name, c := range methods() {
			for _, lengths := range [][]int{{2}, {40}, {2, 2, 2}, {7, 12, 3, 40, 2}, {9, 9, 9, 9, 9, 9, 9, 9, 9}} {
				t.Run(fmt.Sprintf("type=%s/method=%s/lengths=%v", kind, name, lengths), func(t *testing.T) {
					run := func(dev compute.Device) (step, eval compute.Stats) {
						m, err := model.Load(dev, filepath.Join("../../../testdata", kind), model.Head{Outputs: 2}, 1, nil)
						if err != nil {
							t.Fatal(err)
						}
						s := stepper(t, dev, m, c)
						if _, err := s.Results(batch(lengths...)); err != nil {
							t.Fatal(err)
						}
						eval = dev.Stats()
						if err := s.Step(1, []model.Batch{batch(lengths...)}, 1); err != nil {
							t.Fatal(err)
						}
						return dev.Stats(), eval
					}
					step, eval := run(cpu.Open[float32](1))
					plan, planEval := run(nulldev.Open(4))
					for what, bytes := range map[string][2]int64{
						"arena of a step":     {plan.ArenaPeak, step.ArenaPeak},
						"arena of evaluation": {planEval.ArenaPeak, eval.ArenaPeak},
						"persistent":          {plan.PersistentBytes, step.PersistentBytes},
					} {
						if bytes[0] != bytes[1] || bytes[0] == 0 {
							t.Errorf("%s: %d bytes planned, %d used", what, bytes[0], bytes[1])
						}
					}
				})
			}
		}
	}
}

// TestPlanQuantized: a step with weights in four bits needs what is planned for it on a device whose products read such
// weights, and its arena is that of the step with other weights, because nothing is dequantised to it.
func TestPlanQuantized(t *testing.T) {
	for name, c := range methods() {
		if c.ChangesWeights() {
			continue
		}
		t.Run("method="+name, func(t *testing.T) {
			run := func(dev compute.Device, quantize func(compute.Device, model.Network)) compute.Stats {
				m, err := model.Load(dev, "../../../testdata/golden/roberta", model.Head{Outputs: 2}, 1, nil)
				if err != nil {
					t.Fatal(err)
				}
				if quantize != nil {
					quantize(dev, m)
				}
				s := stepper(t, dev, m, c)
				if err := s.Step(1, []model.Batch{batch(3, 17, 8)}, 1); err != nil {
					t.Fatal(err)
				}
				return dev.Stats()
			}
			dev := cpu.Open[float32](1)
			used, plan := run(dev, model.Quantize), run(nulldev.Like(dev), model.PlanQuantize)
			dense := run(nulldev.Like(dev), nil)
			if used.ArenaPeak != plan.ArenaPeak || used.PersistentBytes != plan.PersistentBytes {
				t.Errorf("%d and %d bytes planned, %d and %d used", plan.ArenaPeak, plan.PersistentBytes, used.ArenaPeak,
					used.PersistentBytes)
			}
			if used.ArenaPeak != dense.ArenaPeak || used.PersistentBytes >= dense.PersistentBytes {
				t.Errorf("%d and %d bytes with four bits, %d and %d without", used.ArenaPeak, used.PersistentBytes,
					dense.ArenaPeak, dense.PersistentBytes)
			}
		})
	}
}

// TestPlanCovers checks that the plan of the largest batch, with the slack that package train adds, is enough for
// every smaller batch, at the size of RoBERTa-base. That does not follow by itself, because blocks are reused by size
// class: with 64 tokens per example the lse of a layer is in the same class as the rows of the head, and with fewer
// it is not.
func TestPlanCovers(t *testing.T) {
	type size struct {
		tokens, examples int
		floatBytes       int64
	}
	for name, c := range methods() {
		for _, largest := range []size{{4096, 32, 4}, {4096, 64, 4}, {4096, 64, 2}, {100, 5, 4}, {16, 8, 4}} {
			t.Run(fmt.Sprintf(
				"method=%s/tokens=%d/examples=%d/float=%d", name, largest.tokens, largest.examples, largest.floatBytes,
			), func(t *testing.T) {
				dev, s := base(t, c, largest.floatBytes)
				step := func(tokens, examples int) int64 {
					lengths := make([]int, examples)
					for i := range lengths {
						lengths[i] = tokens*(i+1)/examples - tokens*i/examples
					}
					if err := s.Step(1, []model.Batch{batch(lengths...)}, 1); err != nil {
						t.Fatal(err)
					}
					return dev.Stats().ArenaPeak
				}
				step(largest.tokens, largest.examples)
				planned := dev.Arena()
				rng := rand.New(rand.NewPCG(1, uint64(largest.tokens)))
				for range 200 {
					examples := 1 + rng.IntN(largest.examples)
					tokens := 2*examples + rng.IntN(largest.tokens-2*examples+1)
					if rng.IntN(2) == 0 { // just below the largest, where an excess would show
						examples = largest.examples - rng.IntN(1+largest.examples/4)
						tokens = largest.tokens - rng.IntN(1+largest.tokens/8)
					}
					// The peak is the largest of all steps so far, so the first excess ends the test.
					if got := step(tokens, examples); got > planned {
						t.Fatalf("%d tokens of %d examples need %d bytes; %d are planned", tokens, examples, got, planned)
					}
				}
			})
		}
	}
}

// base returns a stepper of RoBERTa-base that only counts.
func base(t *testing.T, c adapter.Config, floatBytes int64) (*nulldev.Device, *train.Stepper) {
	t.Helper()
	dev := nulldev.Open(floatBytes)
	config := model.Config{
		Type: "roberta", Width: 768, Layers: 12, Heads: 12, FF: 3072, Vocab: 50265, Positions: 10_000,
		Types: 1, Activation: "gelu",
	}
	m, err := model.New(dev, config, 2, 1, nil, model.NoValues)
	if err != nil {
		t.Fatal(err)
	}
	return dev, stepper(t, dev, m, c)
}
