package adapter_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gonum.org/v1/gonum/mat"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/schedule"
	"github.com/lor2c/lor2c/internal/tape"
)

func names(params []*tape.Param) (out []string) {
	for _, p := range params {
		out = append(out, p.Name)
	}
	return out
}

// TestMerge: a merge keeps the tensors of one member, bit for bit, with the
// name of the new module, and the structure records the merge.
func TestMerge(t *testing.T) {
	dev := cpu.Open[float32](1)
	n := attach(t, dev, "roberta",
		adapter.Configure("lor2c", adapter.Values{"rank": 4, "alpha": 6, "target_modules": queryValue}), nil)
	n.leaveStart()
	m := n.Method.(*adapter.LoR2C)
	a, b := m.Module(2)
	values := [][]float32{download(dev, a.Value), download(dev, b.Value)}
	m.Merge(1, 2, 2)
	keptA, keptB := m.Module(1)
	if keptA != a || keptB != b || !sameBits(values[0], download(dev, a.Value)) ||
		!sameBits(values[1], download(dev, b.Value)) {
		t.Error("the factors of layer 2 are not those of the merged module")
	}
	m.Inject(3)
	const stem = "base_model.model.roberta.encoder.layer."
	want := []string{
		stem + "0.lor2c.0_0.lora_A.weight", stem + "0.lor2c.0_0.lora_B.weight", stem + "1.lor2c.1_2.lora_A.weight",
		stem + "1.lor2c.1_2.lora_B.weight",
		stem + "3.attention.self.query.lora_A.weight", stem + "3.attention.self.query.lora_B.weight",
		stem + "3.attention.self.value.lora_A.weight", stem + "3.attention.self.value.lora_B.weight",
	}
	if d := cmp.Diff(want, names(m.Params())); d != "" {
		t.Errorf("parameters (-want +got):\n%s", d)
	}
	structure := schedule.Structure{Modules: []schedule.Span{{First: 0, Last: 0}, {First: 1, Last: 2}}, Injected: []int{3}}
	if d := cmp.Diff(structure, m.Layout()); d != "" {
		t.Errorf("structure (-want +got):\n%s", d)
	}
	for _, p := range m.Pairs(3) {
		if shape := p.Value.Shape; shape[0] != 2 && shape[1] != 2 {
			t.Errorf("%s is %v; want half the rank, 2", p.Name, shape)
		}
	}
}

// TestInjectionStarts: an injected pair, whose B is zero, starts with a
// gradient for B and none for A, and A changes once B has.
func TestInjectionStarts(t *testing.T) {
	n := attach(t, cpu.Open[float64](1), "roberta",
		adapter.Configure("lor2c", adapter.Values{"rank": 4, "alpha": 6, "target_modules": queryValue}), nil)
	n.leaveStart()
	n.steps(t, 2)
	m := n.Method.(*adapter.LoR2C)
	m.Inject(1)
	n.Change(func(*tape.Param) bool { return false })
	for _, first := range []bool{true, false} {
		n.gradient(t, n.parts())
		for i, p := range m.Pairs(1) {
			isA := i%2 == 0
			if zero := largest(cpu.Data[float64](p.Grad)) == 0; zero != (isA && first) {
				t.Errorf("first step %t: the gradient of %s is zero everywhere: %t", first, p.Name, zero)
			}
		}
		if err := n.Step(3, n.parts(), 1); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTrial: Merged and Without compute what the method computes after the
// change, and do not change the method.
func TestTrial(t *testing.T) {
	dev := cpu.Open[float32](1)
	n := attach(t, dev, "bert",
		adapter.Configure("lor2c", adapter.Values{"rank": 2, "alpha": 6, "target_modules": queryValue}), nil)
	n.leaveStart()
	m, b := n.Method.(*adapter.LoR2C), join(n.parts())
	out := func(m adapter.Method) []float32 { return logits(dev, n.Model, m.Hook(adapter.At{}), b, false) }
	start, before := out(m), names(m.Params())
	merged, without := out(m.Merged(1, 2, 2)), out(m.Without(3))
	if !sameBits(out(m), start) || !slices.Equal(names(m.Params()), before) {
		t.Error("a trial has changed the method")
	}
	if sameBits(merged, start) || sameBits(without, start) {
		t.Error("the result of a trial is that of the unchanged method")
	}
	other := attach(t, dev, "bert",
		adapter.Configure("lor2c", adapter.Values{"rank": 2, "alpha": 6, "target_modules": queryValue}), nil)
	other.leaveStart()
	o := other.Method.(*adapter.LoR2C)
	if m.Merge(1, 2, 2); !sameBits(out(m), merged) {
		t.Error("the result after the merge differs from its trial")
	}
	if o.Inject(3); !sameBits(logits(dev, other.Model, o.Hook(adapter.At{}), b, false), without) {
		t.Error("the result after the injection differs from its trial")
	}
}

// TestSpectra compares with the singular values from a general decomposition of
// the product B A, for well and badly conditioned factors, and for the example
// of width 3 whose eigenvalues are 5 +- sqrt 13.
func TestSpectra(t *testing.T) {
	product := func(dev *cpu.Device[float32], a, b *tape.Param) []float64 {
		dense := func(p *tape.Param) *mat.Dense {
			d := mat.NewDense(p.Value.Shape[0], p.Value.Shape[1], nil)
			for i, x := range download(dev, p.Value) {
				d.Set(i/p.Value.Shape[1], i%p.Value.Shape[1], float64(x))
			}
			return d
		}
		var w mat.Dense
		w.Mul(dense(b), dense(a))
		var svd mat.SVD
		if !svd.Factorize(&w, mat.SVDNone) {
			t.Fatal("no decomposition")
		}
		return svd.Values(nil)
	}
	for _, c := range []struct {
		share bool
		decay float64 // column j of B is multiplied by 10^-decay j
	}{{false, 0}, {false, 0.4}, {true, 0.2}} {
		t.Run(fmt.Sprintf("share=%t/decay=%g", c.share, c.decay), func(t *testing.T) {
			dev := cpu.Open[float32](1)
			n := attach(t, dev, "roberta",
				adapter.Configure("lor2c", adapter.Values{"rank": 6, "alpha": 6, "share": c.share, "target_modules": queryValue}),
				nil)
			n.leaveStart()
			m := n.Method.(*adapter.LoR2C)
			for l := range 4 {
				_, b := m.Module(l)
				v := download(dev, b.Value)
				for i := range v {
					v[i] *= float32(math.Pow(10, -c.decay*float64(i%6)))
				}
				dev.Upload(b.Value, v)
			}
			m.Merge(0, 1, 1)
			got, err := m.Spectra(dev)
			if err != nil || len(got) != 3 {
				t.Fatalf("%d spectra, %v", len(got), err)
			}
			for i, first := range []int{0, 2, 3} {
				a, b := m.Module(first)
				want := product(dev, a, b)[:6]
				for j := range want {
					if e := math.Abs(got[i][j] - want[j]); !(e <= 1e-6*want[0] || e <= 5e-4*want[j]) {
						t.Errorf("module of layer %d: singular value %d is %.9g; want %.9g", first, j, got[i][j], want[j])
					}
				}
			}
		})
	}
	t.Run("example=width-3", func(t *testing.T) {
		dev := cpu.Open[float32](1)
		param := func(shape compute.Shape, values ...float32) *tape.Param {
			p := &tape.Param{Value: dev.Alloc(shape, compute.Working)}
			dev.Upload(p.Value, values)
			return p
		}
		m := adapter.NewLoR2C([]*tape.Param{param(compute.Shape{2, 3}, 2, 0, 0, 0, 1, 0)},
			[]*tape.Param{param(compute.Shape{3, 2}, 1, 0, 1, 1, 0, 1)}, 4)
		got, err := m.Spectra(dev)
		if err != nil {
			t.Fatal(err)
		}
		for j, want := range []float64{math.Sqrt(5 + math.Sqrt(13)), math.Sqrt(5 - math.Sqrt(13))} {
			if !(math.Abs(got[0][j]-want) < 1e-12) {
				t.Errorf("singular value %d is %.12f; want %.12f", j, got[0][j], want)
			}
		}
	})
	t.Run("start", func(t *testing.T) {
		dev := cpu.Open[float32](1)
		n := attach(t, dev, "roberta", adapter.Configure("lor2c", adapter.Values{"rank": 3, "alpha": 6}), nil)
		got, err := n.Method.(*adapter.LoR2C).Spectra(dev)
		if want := [][]float64{{0, 0, 0}, {0, 0, 0}, {0, 0, 0}, {0, 0, 0}}; err != nil || !cmp.Equal(got, want) {
			t.Errorf("spectra %v, %v; want zeros", got, err)
		}
	})
}

// TestSaveRestoreStructure: a directory restores every bit of a merged and
// injected method, and PEFT's file describes its structure.
func TestSaveRestoreStructure(t *testing.T) {
	for _, share := range []bool{false, true} {
		t.Run(fmt.Sprintf("share=%t", share), func(t *testing.T) {
			dev, base := cpu.Open[float32](1), filepath.Join(goldenDir, "roberta")
			c := adapter.Configure("lor2c", adapter.Values{"rank": 4, "alpha": 8, "share": share, "target_modules": queryValue})
			n := goldenNetwork(t, dev, base, c, 1)
			n.leaveStart()
			m := n.Method.(*adapter.LoR2C)
			m.Inject(2)
			m.Merge(0, 1, 1)
			n.Change(func(*tape.Param) bool { return false })
			n.steps(t, 3)
			d := describe(t, n, base, c)
			dir := saved(t, n, d)
			s, err := adapter.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			fresh, err := model.Load(dev, base, model.Head{Outputs: 3}, 2, nil)
			if err != nil {
				t.Fatal(err)
			}
			method, err := adapter.Attach(dev, fresh, adapter.Settings{Config: s.Method, Structure: s.Structure, Seed: 2})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Restore(dev, method, fresh.Head()); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(m.Layout(), method.(*adapter.LoR2C).Layout()); d != "" {
				t.Errorf("structure (-want +got):\n%s", d)
			}
			b := join(n.parts())
			if !sameBits(logits(dev, n.Model, m.Hook(adapter.At{}), b, false),
				logits(dev, fresh, method.Hook(adapter.At{}), b, false)) {
				t.Error("logits differ after the round trip")
			}
			want := map[string]any{
				"lor2c_modules": []any{map[string]any{"start": 0.0, "end": 1.0}},
				"lor2c_injected": []any{map[string]any{"layer": 2.0, "target_modules": []any{"query", "value"}, "r": 2.0,
					"lora_alpha": 16.0, "lora_dropout": 0.05}},
			}
			got := readJSON(t, filepath.Join(dir, "adapter_config.json"))
			for key, value := range want {
				if d := cmp.Diff(value, got[key]); d != "" {
					t.Errorf("%s (-want +got):\n%s", key, d)
				}
			}
		})
	}
}

// TestStructureFaults: structures that no model can have are refused.
func TestStructureFaults(t *testing.T) {
	dev := cpu.Open[float32](1)
	m, err := model.New(dev, tiny("roberta"), 3, 1, nil, weights)
	if err != nil {
		t.Fatal(err)
	}
	c := adapter.Configure("lor2c", adapter.Values{"rank": 2, "alpha": 1, "target_modules": queryValue})
	c.Resolve()
	for _, x := range []struct {
		name      string
		structure schedule.Structure
		want      string
	}{
		{"beyond", schedule.Structure{Modules: []schedule.Span{{First: 2, Last: 4}}},
			"module 2-4 is out of order, overlaps another or leaves the model; want modules in order within layers 0 to 3"},
		{"overlap", schedule.Structure{Modules: []schedule.Span{{First: 0, Last: 1}, {First: 1, Last: 2}}},
			"module 1-2 is out of order, overlaps another or leaves the model; want modules in order within layers 0 to 3"},
		{"backwards", schedule.Structure{Modules: []schedule.Span{{First: 2, Last: 1}}},
			"module 2-1 is out of order, overlaps another or leaves the model; want modules in order within layers 0 to 3"},
		{"inside", schedule.Structure{Modules: []schedule.Span{{First: 0, Last: 2}}, Injected: []int{1}},
			"LoRA on layer 1 is listed twice, lies within a module or outside the model; want a layer from 0 to 3 without " +
				"a module"},
		{"twice", schedule.Structure{Injected: []int{1, 1}}, "LoRA on layer 1 is listed twice, lies within a module or " +
			"outside the model; want a layer from 0 to 3 without a module"},
		{"outside", schedule.Structure{Injected: []int{4}}, "LoRA on layer 4 is listed twice, lies within a module or " +
			"outside the model; want a layer from 0 to 3 without a module"},
	} {
		t.Run("fault="+x.name, func(t *testing.T) {
			_, err := adapter.Attach(dev, m, adapter.Settings{Config: c, Structure: raw(t, x.structure), Seed: 1})
			if got, want := fmt.Sprint(err), "adapter: attach lor2c: "+x.want+": adapter and model do not match"; got != want ||
				!errors.Is(err, adapter.ErrMismatch) {
				t.Errorf("error\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// TestCheckInjection: an injection that would change the number of parameters
// is refused, as for a value projection with grouped heads.
func TestCheckInjection(t *testing.T) {
	dev := cpu.Open[float32](1)
	for _, x := range []struct {
		name   string
		change func(*adapter.Config, *model.Encoder)
		want   string
	}{
		{"none", func(*adapter.Config, *model.Encoder) {}, ""},
		{"one-target-of-full-rank", func(c *adapter.Config, _ *model.Encoder) {
			*c = c.With(adapter.Values{"target_modules": queryValue[:1], "inject_rank": 4})
		}, ""},
		{"unknown-target", func(c *adapter.Config, _ *model.Encoder) {
			*c = c.With(adapter.Values{"target_modules": []string{"q_proj"}})
		},
			"adapter: inject lora: target module \"q_proj\" is not a linear layer of this model; want query, or " +
				"some of query, key, value, attention.output.dense, intermediate.dense, output.dense"},
		{"odd-rank", func(c *adapter.Config, _ *model.Encoder) { *c = c.With(adapter.Values{"rank": 5, "inject_rank": 2}) },
			"adapter: inject lora: rank 2 on [query value] has 96 parameters per layer, but the module that it replaces has " +
				"120; want equal numbers: change method.inject_rank and method.target_modules, or leave out " +
				"schedule.max_injects"},
		{"grouped-heads", func(_ *adapter.Config, m *model.Encoder) {
			m.Linear(m.Sites()[slices.Index(model.SiteNames, model.Value)]).W.Value.Shape = compute.Shape{4, 12}
		}, "adapter: inject lora: rank 2 on [query value] has 80 parameters per layer, but the module that it replaces " +
			"has 96; want equal numbers: change method.inject_rank and method.target_modules, or leave out " +
			"schedule.max_injects"},
	} {
		t.Run("change="+x.name, func(t *testing.T) {
			m, err := model.New(dev, tiny("roberta"), 3, 1, nil, weights)
			if err != nil {
				t.Fatal(err)
			}
			c := adapter.Configure("lor2c", adapter.Values{"rank": 4, "alpha": 1, "target_modules": queryValue})
			c.Resolve()
			x.change(&c, m)
			got := ""
			settings := adapter.Settings{Config: c, Schedule: schedule.Config{MaxInjects: 1},
				Run: schedule.Run{Epochs: 4, StepsPerEpoch: 1, Layers: 4, Rank: c.Rank()}}
			if _, err := adapter.Attach(dev, m, settings); err != nil {
				got = err.Error()
			}
			if got != x.want {
				t.Errorf("error\n%s\nwant\n%s", got, x.want)
			}
		})
	}
}

// raw returns a structure as it is saved.
func raw(t *testing.T, s schedule.Structure) json.RawMessage {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestPairedError compares with a result by hand: the differences 1, 3 and 2
// have the standard deviation 1.
func TestPairedError(t *testing.T) {
	got := adapter.PairedError([]float64{1, 1, 1}, []float64{2, 4, 3})
	if got == nil || math.Abs(*got-1/math.Sqrt(3)) > 1e-15 {
		t.Errorf("got %v, want 1/sqrt(3)", got)
	}
	if got := adapter.PairedError([]float64{1}, []float64{2}); got != nil {
		t.Errorf("one example has the standard error %v; want none", *got)
	}
}
