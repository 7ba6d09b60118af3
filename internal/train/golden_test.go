package train

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/optim"
	"github.com/lor2c/lor2c/internal/tape"
)

const goldenDir = "../../testdata/golden"

// golden is one case of scripts/golden.py.
type golden struct {
	Model, Method string
	LR            float64 `json:"lr"`
	HeadLR        float64 `json:"head_lr"`
	WeightDecay   float64 `json:"weight_decay"`
	Clip          float64
	Steps, R      int
	Alpha         float64
	Share         bool
	// ClassWeights and LabelSmoothing belong to the loss. Only
	// scripts/golden_loss.py writes them.
	ClassWeights   []float64 `json:"class_weights"`
	LabelSmoothing float64   `json:"label_smoothing"`
	// MultiLabel says that a sequence has any number of labels. Only
	// scripts/golden_multilabel.py writes it.
	MultiLabel bool `json:"multi_label"`
	// Tokens says that tokens have labels. Only scripts/golden_tokens.py writes it.
	Tokens   bool
	Models   string     // the folder of the base models beside goldenDir, if it is another
	BFloat16 tolerances `json:"torch_bfloat16_relative"`
	file     *checkpoint.File
	models   string // directory of the base models
}

// tolerances has, for each kind of value, the largest allowed error by the
// measure of [relative]: of the worst tensor, and of the mean of all.
type tolerances map[string]bound

type bound struct{ Worst, Mean float64 }

// exactly returns the tolerances for devices that compute in the precision of
// the golden file or in float32. Errors after ten steps are larger than after
// the first.
func exactly(one float64) tolerances {
	t := tolerances{}
	for kind, times := range map[string]float64{"logits": 1, "loss": 1, "grad": 1, "zero": 1, "losses": 1, "grad_norm": 10,
		"final": 20} {
		t[kind] = bound{times * one, times * one}
	}
	return t
}

// comparison collects errors by kind.
type comparison struct {
	near   tolerances
	errors map[string][]float64
}

func (t tolerances) compare() comparison { return comparison{t, map[string][]float64{}} }

// check reports an error if got is too far from want.
func (c comparison) check(tb testing.TB, kind, what string, got, want []float32) {
	tb.Helper()
	at, ok := c.near[kind]
	if !ok {
		tb.Fatalf("no tolerance for %s", kind)
	}
	e := relative(got, want)
	if !(e <= at.Worst) {
		tb.Errorf("%s: relative error %.3g; want at most %.3g", what, e, at.Worst)
	}
	c.errors[kind] = append(c.errors[kind], e)
}

// done reports an error if the mean error of a kind is too large.
func (c comparison) done(tb testing.TB) {
	tb.Helper()
	for kind, errors := range c.errors {
		sum := 0.0
		for _, e := range errors {
			sum += e
		}
		if mean, at := sum/float64(len(errors)), c.near[kind].Mean; !(mean <= at) {
			tb.Errorf("%s: mean relative error %.3g of %d tensors; want at most %.3g", kind, mean, len(errors), at)
		}
	}
}

func goldens(t *testing.T) map[string]*golden { return goldensIn(t, goldenDir) }

func goldensIn(t *testing.T, dir string) map[string]*golden {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "MANIFEST.json"))
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct{ Cases map[string]*golden }
	if err := json.Unmarshal(raw, &manifest); err != nil {
		t.Fatal(err)
	}
	for name, g := range manifest.Cases {
		g.models = goldenDir
		if g.Models != "" {
			g.models = filepath.Join(filepath.Dir(goldenDir), g.Models)
		}
		if g.file, err = checkpoint.Open(filepath.Join(dir, name+".safetensors")); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { g.file.Close() })
	}
	return manifest.Cases
}

func (g *golden) floats(t *testing.T, name string) []float32 {
	t.Helper()
	_, shape, ok := g.file.Info(name)
	if !ok {
		t.Fatalf("golden file has no %s", name)
	}
	v := make([]float32, compute.Shape(shape).Len())
	if err := g.file.ReadInto(v, name); err != nil {
		t.Fatal(err)
	}
	return v
}

func (g *golden) ints(t *testing.T, name string) []int32 {
	t.Helper()
	v, err := g.file.ReadInts(name)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]int32, len(v))
	for i, x := range v {
		out[i] = int32(x)
	}
	return out
}

func (g *golden) batch(t *testing.T) model.Batch {
	b := model.Batch{IDs: g.ints(t, "input_ids"), Types: g.ints(t, "token_type_ids"), Cu: g.ints(t, "cu_seqlens")}
	if g.MultiLabel || strings.Contains(g.Model, "regression") {
		b.Labels = g.floats(t, "labels")
		return b
	}
	for _, l := range g.ints(t, "labels") {
		b.Labels = append(b.Labels, float32(l))
	}
	if g.Tokens {
		b.Read = g.ints(t, "read")
	}
	return b
}

// storedHead returns a head that is used unchanged, although its outputs have
// no names.
func storedHead(outputs int) model.Head {
	h := model.Head{Outputs: outputs}
	for row := range outputs {
		h.Rows = append(h.Rows, row)
	}
	return h
}

// stepper returns a stepper with the golden model, its method and the initial
// adapter, on a network without dropout.
func (g *golden) stepper(t *testing.T, dev compute.Device) *Stepper {
	t.Helper()
	outputs := len(g.floats(t, "logits")) / g.batch(t).Rows()
	head := storedHead(outputs)
	head.Tokens = g.Tokens
	m, err := model.Load(dev, filepath.Join(g.models, g.Model), head, 1, adapter.NewConfig(g.Method).Trains())
	if err != nil {
		t.Fatal(err)
	}
	noDropout(m)
	if g.Tokens {
		for _, p := range m.Head() {
			p.Upload(dev, g.floats(t, "init."+g.fileName(p)))
		}
	}
	name := g.Method
	if name == "share" {
		name = "lor2c"
	}
	c := adapter.Configure(name, adapter.Values{
		"rank": g.R, "alpha": g.Alpha, "dropout": 0.0, "share": g.Method == "share",
		"target_modules": queryAndValue(m),
	})
	method, err := adapter.Attach(dev, m, adapter.Settings{Config: c, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range method.Params() {
		if g.Method != "full" {
			p.Upload(dev, g.floats(t, "init."+p.Name))
		}
	}
	o := optim.Config{
		LR: g.LR, HeadLRRatio: g.HeadLR / g.LR, WeightDecay: g.WeightDecay, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8,
		Schedule: "constant", MaxGradNorm: g.Clip,
	}
	objective := Regression()
	if g.Tokens {
		objective = Tagging(dev, make([]string, outputs), nil, 0)
	} else if g.MultiLabel {
		objective = MultiLabel(m.Outputs(), 0.5)
	} else if !strings.Contains(g.Model, "regression") {
		objective = Classification(dev, m.Outputs(), g.ClassWeights, g.LabelSmoothing)
	}
	return NewStepper(dev, m, method, o, 1, objective, g.Steps)
}

// queryAndValue returns the names of the linear layers that LoRA adapts by default.
func queryAndValue(m *model.Encoder) []string {
	switch m.Type {
	case "mpnet":
		return []string{"q", "v"}
	case "distilbert":
		return []string{"q_lin", "v_lin"}
	}
	return []string{"query", "value"}
}

// keyBias reports whether a name is that of a bias of keys. A constant that is added to every key shifts all scores of
// a query equally, so the true gradient is zero.
func keyBias(name string) bool {
	return slices.ContainsFunc([]string{"key.bias", ".k.bias", ".k_lin.bias"},
		func(end string) bool { return strings.HasSuffix(name, end) })
}

func noDropout(m *model.Encoder) {
	m.HiddenDropout, m.AttentionDropout = 0, 0
	m.ClassifierDropout = new(float32)
}

// fileName returns the name of a parameter in the golden file. Names of the
// head have PEFT's prefix except in full fine-tuning.
func (g *golden) fileName(p *tape.Param) string {
	if g.Method == "full" || strings.HasPrefix(p.Name, "base_model.") {
		return p.Name
	}
	return "base_model.model." + p.Name
}

// TestGolden compares logits, loss, every gradient and ten optimizer steps with
// PyTorch, Hugging Face and PEFT, which compute with padding and in float64.
func TestGolden(t *testing.T) {
	for name, g := range goldens(t) {
		t.Run("case="+name+"/dtype=float32", func(t *testing.T) { testGolden(t, g, cpu.Open[float32](2), exactly(1e-5)) })
		t.Run("case="+name+"/dtype=float64", func(t *testing.T) { testGolden(t, g, cpu.Open[float64](2), exactly(5e-7)) })
	}
}

// TestGoldenEncoders does the same for encoders whose models scripts/golden_encoders.py made.
func TestGoldenEncoders(t *testing.T) {
	const dir = "../../testdata/golden_encoders"
	for name, g := range goldensIn(t, dir) {
		g.models = dir
		t.Run("case="+name+"/dtype=float32", func(t *testing.T) { testGolden(t, g, cpu.Open[float32](2), exactly(1e-5)) })
		t.Run("case="+name+"/dtype=float64", func(t *testing.T) { testGolden(t, g, cpu.Open[float64](2), exactly(5e-7)) })
	}
}

func testGolden(t *testing.T, g *golden, dev compute.Device, within tolerances) {
	s, batch, near := g.stepper(t, dev), g.batch(t), within.compare()
	defer near.done(t)
	logits, err := s.Results(batch)
	if err != nil {
		t.Fatal(err)
	}
	near.check(t, "logits", "logits", logits, g.floats(t, "logits"))

	s.gradient(1, []model.Batch{batch}, nil)
	near.check(t, "loss", "loss", download(dev, s.loss), g.floats(t, "loss"))
	grads := 0
	for _, p := range s.Opt.Params() {
		name := "grad." + g.fileName(p)
		want := g.floats(t, name)
		grads++
		if keyBias(name) {
			// Both values are rounding errors.
			near.check(t, "zero", name, append(download(dev, p.Grad), 1), append(make([]float32, len(want)), 1))
			continue
		}
		near.check(t, "grad", name, download(dev, p.Grad), want)
	}
	for _, name := range g.file.Names() {
		if strings.HasPrefix(name, "grad.") {
			grads--
		}
	}
	if grads != 0 {
		t.Errorf("compared %+d gradients more than the golden file has", grads)
	}

	for step := 1; step <= g.Steps; step++ {
		if err := s.Step(step, []model.Batch{batch}, 1); err != nil {
			t.Fatal(err)
		}
	}
	reports, err := s.Reports(1, g.Steps)
	if err != nil {
		t.Fatal(err)
	}
	var losses, norms []float32
	for _, r := range reports {
		losses, norms = append(losses, float32(r.Loss)), append(norms, float32(r.GradNorm))
	}
	near.check(t, "losses", "losses", losses, g.floats(t, "losses"))
	near.check(t, "grad_norm", "norms", norms, g.floats(t, "grad_norm"))
	for _, p := range s.Opt.Params() {
		if !keyBias(p.Name) {
			near.check(t, "final", "final."+p.Name, download(dev, p.Exact()), g.floats(t, "final."+g.fileName(p)))
		}
	}
}

func download(dev compute.Device, x compute.Tensor) []float32 {
	v := make([]float32, x.Shape.Len())
	dev.Download(v, x)
	return v
}

// relative returns the largest difference divided by the largest wanted value.
func relative(got, want []float32) float64 {
	var diff, size float64
	for i := range want {
		diff = math.Max(diff, math.Abs(float64(got[i])-float64(want[i])))
		size = math.Max(size, math.Abs(float64(want[i])))
	}
	if len(got) != len(want) || math.IsNaN(diff) {
		return math.NaN()
	}
	return diff / size
}
