package adapter_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/model"
)

// TestFold: a model whose weights have the updates of a method computes what the method computes, and so does the LoRA
// that is made of them. A method whose spec gives a reason against it is no Folder.
func TestFold(t *testing.T) {
	for _, kind := range kinds {
		for _, m := range methods {
			t.Run("model="+kind+"/method="+m.name, func(t *testing.T) {
				dev := cpu.Open[float32](2)
				n := attach(t, dev, kind, m.config, m.merge)
				n.leaveStart()
				if m.config.Trains() != nil {
					for _, p := range n.Method.Params() {
						v := make([]float32, p.Value.Shape.Len())
						compute.Normal(v, 5, p.Name, 0.3)
						p.Upload(dev, v)
					}
				}
				f, ok := n.Method.(adapter.Folder)
				if reason := adapter.WhyNotFolded(m.config.Name()); ok != (reason == "") {
					t.Fatalf("the method is a Folder: %t; the reason against it is %q", ok, reason)
				}
				if !ok {
					return
				}
				reason := unfolded[m.name]
				key, setting, _ := strings.Cut(adapter.FoldedWith(m.config.Name()), ": ")
				if other := key != "" && m.config.Value(key) != setting; other != (reason != "") {
					t.Errorf("%s is folded with %q; the reason against it is %q", m.config, key, reason)
				}
				if reason != "" {
					if _, err := f.Fold(dev); err == nil || !strings.Contains(err.Error(), reason) {
						t.Errorf("error %v; want one about %s", err, reason)
					}
					return
				}
				b := join(n.parts())
				n.Method.Begin(adapter.At{})
				want := logits(dev, n.Model, n.Method.Hook(adapter.At{}), b, false)
				if base := fresh(t, dev, kind); len(n.Method.Params()) > 0 &&
					apart(logits(dev, base, model.Base{}, b, false), want) < 1e-2 {
					t.Fatal("the method changes nothing")
				}
				merged := fresh(t, dev, kind)
				if err := adapter.Merge(dev, f, merged); err != nil {
					t.Fatal(err)
				}
				if d := apart(logits(dev, merged, model.Base{}, b, false), want); !(d < 2e-5) {
					t.Errorf("merged: outputs are %g of the largest apart", d)
				}
				updates, err := f.Fold(dev)
				if err != nil {
					t.Fatal(err)
				}
				adds := len(updates) > 0 && updates[0].Rows == nil && updates[0].Columns == nil
				c, updates, err := adapter.AsLoRA(dev, f)
				if adds != (err == nil) {
					t.Fatalf("as LoRA: error %v", err)
				} else if !adds {
					return
				}
				network := fresh(t, dev, kind)
				lora, err := adapter.Attach(dev, network, adapter.Settings{Config: c, Seed: 9})
				if err != nil {
					t.Fatal(err)
				}
				if err := adapter.Fill(dev, lora, updates); err != nil {
					t.Fatal(err)
				}
				if d := apart(logits(dev, network, lora.Hook(adapter.At{}), b, false), want); !(d < 2e-5) {
					t.Errorf("as LoRA: outputs are %g of the largest apart", d)
				}
			})
		}
	}
}

// unfolded is what the error of Fold names, for variants that are not folded although the method is a Folder.
var unfolded = map[string]string{
	"reslora-is": "res_type is", "reslora-ms": "res_type ms", "reslora-ms-all": "res_type ms", "adamix": "form adapter",
	"adamix-up": "form adapter",
}

// fresh returns the base model that attach attaches methods to.
func fresh(t *testing.T, dev compute.Device, kind string) *model.Encoder {
	t.Helper()
	m, err := model.New(dev, tiny(kind), 3, 1, nil, weights)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// apart returns the largest difference of two lists over the largest magnitude in the second.
func apart(got, want []float32) float64 {
	var difference, size float64
	for i := range want {
		difference = math.Max(difference, math.Abs(float64(got[i])-float64(want[i])))
		size = math.Max(size, math.Abs(float64(want[i])))
	}
	return difference / size
}

// TestUnevenUpdates: updates of several ranks and scales in some layers alone become LoRA of one rank in all layers,
// filled up with zeros.
func TestUnevenUpdates(t *testing.T) {
	dev := cpu.Open[float32](1)
	n := attach(t, dev, "roberta", adapter.NewConfig("head"), nil)
	f := uneven{n.Method, n.Model}
	c, updates, err := adapter.AsLoRA(dev, f)
	if err != nil {
		t.Fatal(err)
	}
	if c.Rank() != 3 || strings.Join(c.Value("target_modules").([]string), " ") != "attention.self.query output.dense" {
		t.Errorf("settings are %v", c)
	}
	lora, err := adapter.Attach(dev, n.Model, adapter.Settings{Config: c, Seed: 9})
	if err != nil {
		t.Fatal(err)
	}
	if err := adapter.Fill(dev, lora, updates); err != nil {
		t.Fatal(err)
	}
	merged := fresh(t, dev, "roberta")
	if err := adapter.Merge(dev, f, merged); err != nil {
		t.Fatal(err)
	}
	b := join(n.parts())
	got, want := logits(dev, n.Model, lora.Hook(adapter.At{}), b, false), logits(dev, merged, model.Base{}, b, false)
	if d := apart(got, want); !(d < 2e-5) {
		t.Errorf("outputs are %g of the largest apart", d)
	}
}

// uneven is a Folder with two updates of different ranks and scales.
type uneven struct {
	adapter.Method
	n model.Network
}

func (f uneven) Fold(compute.Device) ([]adapter.Update, error) {
	var list []adapter.Update
	for _, s := range f.n.Sites() {
		rank, scale := 3, float32(0.5)
		switch {
		case s.Layer == 1 && s.Name == model.Output:
		case s.Layer == 2 && s.Name == model.Query:
			rank, scale = 1, 2
		default:
			continue
		}
		shape := f.n.Linear(s).W.Value.Shape
		u := adapter.Update{Site: s, In: shape[1], Out: shape[0], Rank: rank, Scale: scale}
		u.A, u.B = make([]float32, rank*u.In), make([]float32, u.Out*rank)
		compute.Normal(u.A, 1, s.Path, 0.3)
		compute.Normal(u.B, 2, s.Path, 0.3)
		list = append([]adapter.Update{u}, list...)
	}
	return list, nil
}

// TestCheckExport: what a form cannot express is refused before a model is loaded.
func TestCheckExport(t *testing.T) {
	for _, c := range []struct {
		config           adapter.Config
		on, format, want string
	}{
		{adapter.NewConfig("prefix"), "roberta", adapter.FormatPEFT, "adapter: export prefix as peft: PEFT has this method " +
			"for decoders alone and cannot load it on a roberta encoder; want the adapter directory itself, which lor2c eval " +
			"reads"},
		{adapter.NewConfig("prefix"), "llama", adapter.FormatPEFT, "<nil>"},
		{adapter.NewConfig("prefix"), "llama", adapter.FormatLoRA,
			"adapter: export prefix as lora: its keys and values are rows that no weight has"},
		{adapter.NewConfig("prefix"), "roberta", adapter.FormatONNX,
			"adapter: export prefix as onnx: its keys and values are rows that no weight has"},
		{adapter.NewConfig("lora"), "llama", adapter.FormatONNX, "adapter: export lora as onnx: ONNX models are written " +
			"for encoders, and the base is a llama decoder; want merged"},
		{adapter.NewConfig("lor2c"), "mpnet", adapter.FormatONNX, "<nil>"},
		{adapter.NewConfig("dora"), "qwen3", adapter.FormatGGUF, "<nil>"},
		{adapter.NewConfig("lora"), "roberta", adapter.FormatGGUFLoRA, "adapter: export lora as gguf-lora: GGUF files are " +
			"written for decoders, and the base is a roberta encoder; want onnx"},
		{adapter.NewConfig("lor2c"), "llama", adapter.FormatGGUF, "adapter: export lor2c as gguf: a module adds to the " +
			"output of a whole layer and not to that of a linear layer, and llama.cpp has only changes of weights; want lor2c " +
			"serve, which computes with the adapter itself, or an adapter of LoRA"},
		{adapter.NewConfig("adamix"), "bert", adapter.FormatMerged, "adapter: export adamix as merged: an adapter with " +
			"method.form adapter cannot be merged into base weights, unlike one with lora"},
		{adapter.NewConfig("adamix"), "bert", adapter.FormatPEFT, "adapter: export adamix as peft: PEFT does not read such " +
			"adapters, and an adapter with method.form adapter cannot be merged into base weights, unlike one with lora; " +
			"want the adapter directory itself, which lor2c eval reads"},
		{adapter.Configure("adamix", adapter.Values{"form": "lora"}), "bert", adapter.FormatMerged, "<nil>"},
		{adapter.Configure("reslora", adapter.Values{"res_type": "is"}), "bert", adapter.FormatLoRA,
			"adapter: export reslora as lora: an adapter with method.res_type is cannot be merged into base weights, " +
				"unlike one with bs"},
		{adapter.NewConfig("reslora"), "bert", adapter.FormatLoRA, "<nil>"},
	} {
		d := adapter.Description{Method: c.config, Base: adapter.Base{Type: c.on}}
		if got := fmt.Sprint(adapter.CheckExport(d, c.format)); got != c.want {
			t.Errorf("%s as %s\ngot  %s\nwant %s", c.config.Name(), c.format, got, c.want)
		}
	}
}
