package train

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/bitsandbytes"
	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/cpu"
)

// trained returns the run file and the directory of a short run of a method on the demo's data.
func trained(t *testing.T, method string) (c *config.Config, best string) {
	t.Helper()
	c = demoConfig(t, t.TempDir(), 64)
	c.Method, c.Train.Epochs = adapter.NewConfig(method), 1
	c.Resolve()
	if _, err := Run(context.Background(), c, quiet(2)); err != nil {
		t.Fatal(err)
	}
	return c, filepath.Join(c.Out, "best")
}

// TestExport writes a LoRA run in every form and evaluates what was written: the adapters compute what the run's
// adapter computes, the merged model does so up to the precision of the demo's weights, which is bfloat16, and the one
// in four bits up to that of four bits.
func TestExport(t *testing.T) {
	c, best := trained(t, "lora")
	score := func(dir string) *SplitEvaluation {
		t.Helper()
		e, err := Evaluate(context.Background(), c, cpu.Open[float32](2), dir, "dev", nil)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	want := score(best)
	for format, tolerance := range map[string]float64{adapter.FormatPEFT: 0, adapter.FormatLoRA: 0,
		adapter.FormatMerged: 2e-3, adapter.FormatMergedNF4: 0.1} {
		t.Run("format="+format, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			e, err := Export(context.Background(), c, cpu.Open[float32](2), best, out, format, "")
			if err != nil {
				t.Fatal(err)
			}
			if e.Rows != 24 || !(e.Drift <= 10*tolerance) || !(e.Largest > 0.1) || (e.Drift > 0) != (tolerance > 0) {
				t.Errorf("%+v", e)
			}
			if got := score(out); math.Abs(got.Loss-want.Loss) > tolerance {
				t.Errorf("loss %v; want %v", got.Loss, want.Loss)
			}
			precision, name := checkpoint.F32, "adapter_model.safetensors"
			if adapter.IsMerged(format) {
				precision, name = checkpoint.BF16, "model.safetensors"
			}
			f, err := checkpoint.Open(filepath.Join(out, name))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if format == adapter.FormatMergedNF4 {
				checkPacked(t, out, e.Precision)
				return
			}
			for _, tensor := range f.Names() {
				if d, _, _ := f.Info(tensor); d != precision || e.Precision != precision {
					t.Errorf("%s is %s, and the export says %s; want %s", tensor, d, e.Precision, precision)
				}
			}
			if _, err := Export(context.Background(), c, cpu.Open[float32](1), best, out, format, ""); err == nil ||
				!strings.Contains(err.Error(), "it exists; want the name of a new directory") {
				t.Errorf("a second export over the first: %v", err)
			}
		})
	}
	for format, tolerance := range map[string]float64{adapter.FormatMerged: 2e-3, adapter.FormatMergedNF4: 0.1} {
		t.Run("model="+format, func(t *testing.T) { checkAsBase(t, c, best, format, want.Loss, tolerance) })
	}
}

// checkAsBase exports a model and checks its loss as the base of a run without training, its own head included.
func checkAsBase(t *testing.T, c *config.Config, best, format string, want, tolerance float64) {
	out := filepath.Join(t.TempDir(), "out")
	if _, err := Export(context.Background(), c, cpu.Open[float32](2), best, out, format, ""); err != nil {
		t.Fatal(err)
	}
	next := *c
	next.Model, next.Out, next.Method = out, filepath.Join(t.TempDir(), "run"), adapter.NewConfig("head")
	next.Optim.LR, next.Train.Epochs = 0, 1
	s, err := OpenSession(context.Background(), &next, "dev")
	if err != nil {
		t.Fatal(err)
	}
	d, err := s.load(context.Background(), "dev", true)
	if err != nil {
		t.Fatal(err)
	}
	dev := cpu.Open[float32](2)
	n, m, err := s.attach(dev, adapter.Settings{Config: next.Method, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, site := range n.Sites() {
		if four := n.Linear(site).W.Value.DType == compute.NF4; four != (format == adapter.FormatMergedNF4) {
			t.Errorf("%s is in four bits: %t", site.Path, four)
		}
	}
	s.Config.Method = adapter.NewConfig("full")
	const refused = " of its weights are in four bits, and method full changes them; want "
	if err := s.checkWeights(); (err == nil) != (format == adapter.FormatMerged) ||
		err != nil && !strings.Contains(err.Error(), refused) {
		t.Errorf("full fine-tuning: error %v", err)
	}
	st := &Stepper{Dev: dev, Model: n, Method: m, Objective: s.objective(dev, n, nil)}
	got, err := st.evaluate(context.Background(), d, sequence(d.Len()), nil, config.Train{EvalBatchSize: 8})
	if err != nil || !(math.Abs(got.Loss-want) <= tolerance) {
		t.Errorf("loss %v, %v; want %v", got.Loss, err, want)
	}
}

// TestExportQuantized: the adapter of a run on weights in four bits is merged into the values of those weights, so that
// the merged model computes what the adapter does up to the precision of the demo's weights.
func TestExportQuantized(t *testing.T) {
	for _, method := range []string{"lora", "dora"} {
		t.Run("method="+method, func(t *testing.T) {
			c := demoConfig(t, t.TempDir(), 64)
			c.Method, c.Train.Epochs, c.Train.Quantize = adapter.NewConfig(method), 1, config.QuantizeNF4
			c.Resolve()
			if _, err := Run(context.Background(), c, quiet(2)); err != nil {
				t.Fatal(err)
			}
			for format, tolerance := range map[string]float64{adapter.FormatPEFT: 0, adapter.FormatMerged: 0.02,
				adapter.FormatMergedNF4: 1} {
				out := filepath.Join(t.TempDir(), "out")
				e, err := Export(context.Background(), c, cpu.Open[float32](2), filepath.Join(c.Out, "best"), out, format, "")
				if err != nil || !(e.Drift <= tolerance) || !(e.Largest > 0.1) || (e.Drift > 0) != (tolerance > 0) {
					t.Errorf("%s: %+v, %v", format, e, err)
				}
			}
		})
	}
}

// TestExportONNX: the graph of IMLoR2C has its modules beside weights into which the injected LoRA is merged, and both
// together compute what the adapter does.
func TestExportONNX(t *testing.T) {
	c := demoConfig(t, t.TempDir(), 64)
	c.Train.Epochs, c.Train.BatchSize, c.Schedule.MaxMerges, c.Schedule.MaxInjects = 5, 32, 1, 1
	c.Resolve()
	if _, err := Run(context.Background(), c, quiet(2)); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out")
	e, err := Export(context.Background(), c, cpu.Open[float32](2), filepath.Join(c.Out, "final"), out,
		adapter.FormatONNX, "")
	if err != nil {
		t.Fatal(err)
	}
	if e.Precision != checkpoint.F32 || !(e.Drift > 0) || !(e.Drift < 1e-5) || !(e.Largest > 0.1) {
		t.Errorf("%+v", e)
	}
	graph, err := os.ReadFile(filepath.Join(out, "model.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(graph), ".lor2c.") || strings.Contains(string(graph), "query.lora_A") {
		t.Error("the graph has no module, or an injected pair")
	}
}

// checkPacked checks that the matrices of all linear layers of a model are in four bits, and nothing else.
func checkPacked(t *testing.T, dir string, says checkpoint.DType) {
	t.Helper()
	m, err := bitsandbytes.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if says != bitsandbytes.NF4 || len(m.Packed()) == 0 {
		t.Errorf("%d matrices are in four bits, and the export says %s", len(m.Packed()), says)
	}
	for _, name := range m.Names() {
		layer := strings.Contains(name, ".layer.") && strings.HasSuffix(name, "dense.weight") ||
			strings.Contains(name, ".self.") && strings.HasSuffix(name, ".weight")
		want := map[bool]checkpoint.DType{true: bitsandbytes.NF4, false: checkpoint.BF16}[layer]
		if d, _, _ := m.Info(name); d != want {
			t.Errorf("%s is %s; want %s", name, d, want)
		}
	}
}

// TestExportRefused: what a form cannot express is refused with the reason, and nothing is written.
func TestExportRefused(t *testing.T) {
	for method, refused := range map[string]map[string]string{
		"lor2c": {
			"merged": "a module adds to the output of a whole layer", "lora": "a module adds to the output of a whole layer",
			"peft": "PEFT does not read such adapters, and a module adds",
		},
		"bitfit": {
			"lora": "it changes no linear layer by a low-rank product", "peft": "PEFT does not read such adapters; want merged",
		},
	} {
		run, best := trained(t, method)
		for format, why := range refused {
			t.Run("method="+method+"/format="+format, func(t *testing.T) {
				folder := t.TempDir()
				_, err := Export(context.Background(), run, cpu.Open[float32](1), best, filepath.Join(folder, "out"), format, "")
				if want := "adapter: export " + method + " as " + format + ": " + why; err == nil ||
					!strings.HasPrefix(err.Error(), want) {
					t.Errorf("error is %v; want %s", err, want)
				}
				if entries, _ := os.ReadDir(folder); len(entries) > 0 {
					t.Errorf("%v was written", entries)
				}
			})
		}
	}
}
