package model_test

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/tape"
)

func configJSON(c model.Config) func(io.Writer) error {
	return func(f io.Writer) error { return json.NewEncoder(f).Encode(c) }
}

// part returns the given sequences of b as a batch, in that order.
func part(b model.Batch, sequences ...int) (p model.Batch) {
	p.Cu = []int32{0}
	for _, i := range sequences {
		p.IDs = append(p.IDs, b.IDs[b.Cu[i]:b.Cu[i+1]]...)
		p.Types = append(p.Types, b.Types[b.Cu[i]:b.Cu[i+1]]...)
		p.Cu = append(p.Cu, int32(len(p.IDs)))
	}
	return p
}

func near(t *testing.T, what string, got, want []float64) {
	t.Helper()
	for i := range want {
		if !(math.Abs(got[i]-want[i]) <= 1e-12) {
			t.Errorf("%s: logit %d = %v; want %v", what, i, got[i], want[i])
			return
		}
	}
}

// TestPacking: sequences of one batch do not influence each other.
func TestPacking(t *testing.T) {
	for _, kind := range encoders {
		t.Run("type="+kind, func(t *testing.T) {
			dev, m := load(t, golden(kind), outputs[kind], 1)
			b, k := sample(7, 1, 12, 2, 40, 3), outputs[kind]
			for i := range b.Types {
				b.Types[i] = int32(i / 3 % max(1, m.Types))
			}
			alone := make([][]float64, b.Len())
			for i := range alone {
				alone[i] = logits(dev, m, part(b, i))
			}
			for _, order := range [][]int{{0, 1, 2, 3, 4, 5}, {5, 3, 1, 4, 2, 0}, {2, 2, 0}, {1, 3}} {
				got := logits(dev, m, part(b, order...))
				for at, i := range order {
					near(t, fmt.Sprintf("order %v: sequence %d", order, i), got[at*k:(at+1)*k], alone[i])
				}
			}
			if slices.Equal(alone[0], alone[2]) {
				t.Error("different sequences have the same logits")
			}
		})
	}
}

// TestMasks: for any method, the masks of a step do not depend on how its
// examples are divided into micro-batches. They depend on step and seed.
func TestMasks(t *testing.T) {
	for _, kind := range []string{"roberta", "bert"} {
		for _, method := range adapter.Names() {
			t.Run("type="+kind+"/method="+method, func(t *testing.T) {
				dev, m := load(t, golden(kind), outputs[kind], 1)
				p := 0.25
				m.HiddenDropout, m.AttentionDropout, m.ClassifierDropout = 0.2, 0.3, nil
				a, err := adapter.Attach(dev, m,
					adapter.Settings{Config: adapter.Configure(method,
						adapter.Values{"rank": 3, "alpha": 6, "dropout": p,
							"target_modules": []string{"query", "value", "intermediate.dense", "output.dense"}}), Seed: 1})
				if err != nil {
					t.Fatal(err)
				}
				for _, q := range a.Params() {
					if !strings.HasSuffix(q.Name, ".bias") && method != "full" { // if B is zero its mask has no effect
						v := make([]float32, q.Value.Shape.Len())
						compute.Normal(v, 8, q.Name, 0.3)
						dev.Upload(q.Value, v)
					}
				}
				b := sample(7, 2, 12, 3, 5, 2)
				run := func(seed uint64, step int, cuts ...[]int) (out []float64) {
					row, example := 0, 0
					for _, cut := range cuts {
						b := part(b, cut...)
						dev.Reset()
						tp := &tape.Tape{Dev: dev, Train: true, Seed: seed, Step: step, Row: row, Read: example}
						out = append(out, cpu.Data[float64](m.Forward(m.NewPass(tp, b, a.Hook(adapter.At{}))).Value)...)
						row, example = row+len(b.IDs), example+b.Len()
					}
					return out
				}
				whole := run(1, 1, []int{0, 1, 2, 3, 4, 5})
				near(t, "micro-batches of 1", run(1, 1, []int{0}, []int{1}, []int{2}, []int{3}, []int{4}, []int{5}), whole)
				near(t, "micro-batches of 4", run(1, 1, []int{0, 1, 2, 3}, []int{4, 5}), whole)
				for what, other := range map[string][]float64{
					"step 2": run(1, 2, []int{0, 1, 2, 3, 4, 5}), "seed 2": run(2, 1, []int{0, 1, 2, 3, 4, 5}),
				} {
					if slices.Equal(other, whole) {
						t.Errorf("%s has the masks of step 1 with seed 1", what)
					}
				}
			})
		}
	}
}

func TestCheck(t *testing.T) {
	_, m := load(t, filepath.Join(goldenDir, "roberta"), 3, 1)
	if err := m.Check(sample(40, 1)); err != nil {
		t.Errorf("Check of the longest sequence: %v", err)
	}
	for name, c := range map[string]struct {
		change func(b *model.Batch)
		want   string
	}{
		"length": {func(b *model.Batch) { *b = sample(3, 41) },
			"model: forward: sequence 1 of the batch has 41 tokens; want at most 40"},
		"id":       {func(b *model.Batch) { b.IDs[4] = 120 }, "model: forward: token 4 has id 120; want 0 to 119"},
		"negative": {func(b *model.Batch) { b.IDs[0] = -1 }, "model: forward: token 0 has id -1; want 0 to 119"},
		"type":     {func(b *model.Batch) { b.Types[2] = 1 }, "model: forward: token 2 has type 1; want 0 to 0"},
	} {
		t.Run("fault="+name, func(t *testing.T) {
			b := sample(3, 4)
			c.change(&b)
			if err := m.Check(b); err == nil || err.Error() != c.want {
				t.Errorf("error %v\nwant  %s", err, c.want)
			}
		})
	}
}

// TestSites: the sites are all linear layers of all layers, with their paths in
// a checkpoint.
func TestSites(t *testing.T) {
	_, m := load(t, filepath.Join(goldenDir, "roberta"), 3, 1)
	all := m.Sites()
	if len(all) != m.HiddenLayers()*len(model.SiteNames) {
		t.Fatalf("%d sites; want %d in each of %d layers", len(all), len(model.SiteNames), m.HiddenLayers())
	}
	for i, s := range all {
		want := model.Site{Layer: i / len(model.SiteNames), Index: i % len(model.SiteNames),
			Name: model.SiteNames[i%len(model.SiteNames)]}
		want.Path = fmt.Sprintf("roberta.encoder.layer.%d.%s", want.Layer, want.Name)
		if s != want {
			t.Errorf("site %d is %+v; want %+v", i, s, want)
		}
		if got, want := m.Linear(s).W.Name, s.Path+".weight"; got != want {
			t.Errorf("Linear(%v) is %s; want %s", s, got, want)
		}
	}
}
