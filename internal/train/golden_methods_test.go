package train

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/optim"
	"github.com/lor2c/lor2c/internal/schedule"
	"github.com/lor2c/lor2c/internal/tape"
)

const goldenMethodsDir = "../../testdata/golden_methods"

// goldenMethod is one case of scripts/golden_methods.py.
type goldenMethod struct {
	Model       string
	Method      adapter.Config
	LR          float64 `json:"lr"`
	HeadLR      float64 `json:"head_lr"`
	WeightDecay float64 `json:"weight_decay"`
	Clip        float64
	Steps       int
	Seed        uint64
	floats      map[string][]float64
	ints        map[string][]int32
}

// readGoldenMethod reads a file whose numbers are float64 and int32. Package checkpoint would round them.
func readGoldenMethod(t *testing.T, path string) *goldenMethod {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n := binary.LittleEndian.Uint64(raw)
	var header map[string]json.RawMessage
	if err := json.Unmarshal(raw[8:8+n], &header); err != nil {
		t.Fatal(err)
	}
	g := &goldenMethod{floats: map[string][]float64{}, ints: map[string][]int32{}}
	for name, text := range header {
		if name == "__metadata__" {
			var metadata map[string]string
			if err := json.Unmarshal(text, &metadata); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(metadata["case"]), g); err != nil {
				t.Fatal(err)
			}
			continue
		}
		var at struct {
			DType   string
			Offsets [2]uint64 `json:"data_offsets"`
		}
		if err := json.Unmarshal(text, &at); err != nil {
			t.Fatal(err)
		}
		data := raw[8+n:][at.Offsets[0]:at.Offsets[1]]
		if at.DType == "I32" {
			for ; len(data) > 0; data = data[4:] {
				g.ints[name] = append(g.ints[name], int32(binary.LittleEndian.Uint32(data)))
			}
			continue
		}
		for ; len(data) > 0; data = data[8:] {
			g.floats[name] = append(g.floats[name], math.Float64frombits(binary.LittleEndian.Uint64(data)))
		}
	}
	return g
}

func eachGoldenMethod(t *testing.T, f func(t *testing.T, name string, g *goldenMethod)) {
	files, err := filepath.Glob(filepath.Join(goldenMethodsDir, "*.safetensors"))
	if err != nil || len(files) < 10 {
		t.Fatalf("%d golden files, %v", len(files), err)
	}
	for _, path := range files {
		f(t, strings.TrimSuffix(filepath.Base(path), ".safetensors"), readGoldenMethod(t, path))
	}
}

// TestGoldenMethods compares logits, loss, every gradient and ten optimizer steps, with what a method does at each of
// them, with PEFT, and with PyTorch where PEFT does not have the method.
func TestGoldenMethods(t *testing.T) {
	eachGoldenMethod(t, func(t *testing.T, name string, g *goldenMethod) {
		t.Run("case="+name+"/dtype=float64", func(t *testing.T) { g.test(t, cpu.Open[float64](2), 1e-9, g.Steps) })
		t.Run("case="+name+"/dtype=float32", func(t *testing.T) { g.test(t, cpu.Open[float32](2), 1e-5, g.Steps) })
	})
}

// emulatedMethods are the cases that run on kernels that the CPU executes, where each takes a hundred times as long,
// and how many of the ten steps: 10 where a step has ops of its own, and else 0, the logits, loss and gradients alone.
var emulatedMethods = map[string]int{
	"roberta_adalora": 10, "roberta_dora": 10, "roberta_dylora_rows": 10, "roberta_ia3": 10, "roberta_melora": 10,
	"roberta_vera": 10, "bert_adapter_houlsby": 0, "bert_prefix": 0, "bert_sharelora_ab": 0, "roberta_adamix": 0,
	"roberta_aslora": 0, "roberta_bitfit": 0, "roberta_loramoe": 0, "roberta_hydralora": 0, "roberta_olora": 0,
	"roberta_pissa": 0, "roberta_reslora_bs": 0,
}

// TestEveryMethodIsGolden: each method has a case, and one that runs on kernels, with the logits, the loss and every
// gradient of a step and with what ten steps make of each parameter. Cases of TestGolden run on kernels too.
func TestEveryMethodIsGolden(t *testing.T) {
	onCPU, onKernels := map[string]bool{}, map[string]bool{}
	for _, g := range goldens(t) {
		onKernels[strings.ReplaceAll(g.Method, "share", "lor2c")] = true
	}
	eachGoldenMethod(t, func(t *testing.T, name string, g *goldenMethod) {
		method := g.Method.Name()
		_, emulated := emulatedMethods[name]
		onCPU[method] = true
		onKernels[method] = onKernels[method] || emulated
		grads := 0
		for tensor := range g.floats {
			if of, ok := strings.CutPrefix(tensor, "grad."); ok {
				grads++
				// What ASLoRA merges away has no value in the end.
				if g.floats["final."+of] == nil && g.ints["ties"] == nil {
					t.Errorf("%s has no final value of %s", name, of)
				}
			}
		}
		if grads == 0 || len(g.floats["logits"]) == 0 || len(g.floats["loss"]) != 1 || len(g.floats["losses"]) != 10 ||
			len(g.floats["final_logits"]) == 0 {
			t.Errorf("%s lacks logits, a loss, gradients or the losses of ten steps", name)
		}
	})
	for _, name := range adapter.Names() {
		if !onCPU[name] || !onKernels[name] {
			t.Errorf("method %s has a golden case: %t; one on kernels: %t", name, onCPU[name], onKernels[name])
		}
	}
}

func (g *goldenMethod) batch() model.Batch {
	b := model.Batch{IDs: g.ints["input_ids"], Types: g.ints["token_type_ids"], Cu: g.ints["cu_seqlens"]}
	for _, l := range g.ints["labels"] {
		b.Labels = append(b.Labels, float32(l))
	}
	return b
}

// stepper returns the network of the case at its initial values.
func (g *goldenMethod) stepper(t *testing.T, dev compute.Device) *Stepper {
	t.Helper()
	m, err := model.Load(dev, filepath.Join(goldenMethodsDir, g.Model), storedHead(2), 1, g.Method.Trains())
	if err != nil {
		t.Fatal(err)
	}
	noDropout(m)
	if faults := g.Method.Validate(); faults != nil {
		t.Fatal(faults)
	}
	run := schedule.Run{Epochs: 1, Steps: g.Steps, StepsPerEpoch: g.Steps, Layers: m.Layers}
	method, err := adapter.Attach(dev, m, adapter.Settings{Config: g.Method, Run: run, Seed: g.Seed})
	if err != nil {
		t.Fatal(err)
	}
	set := func(p *tape.Param, name string) {
		values, ok := g.floats[name]
		if !ok {
			t.Fatalf("golden file has no %s", name)
		}
		p.Upload(dev, singles(values))
	}
	for _, p := range slices.Concat(method.Params(), method.Buffers()) {
		if !slices.Contains(m.Base(), p) {
			set(p, "init."+p.Name)
		}
	}
	for _, s := range m.Sites() { // the base that a method has changed
		if name := "residual.base_model.model." + s.Path + ".weight"; g.floats[name] != nil {
			w := m.Linear(s).W
			// PEFT factorises in float32.
			if e := apart(values(dev, w.Value), g.floats[name]); !(e <= 1e-5) {
				t.Errorf("what is left of the weight of %s is %.2g away", s.Path, e)
			}
			set(w, name)
		}
	}
	o := optim.Config{
		LR: g.LR, HeadLRRatio: g.HeadLR / g.LR, WeightDecay: g.WeightDecay, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8,
		Schedule: "constant", MaxGradNorm: g.Clip,
	}
	s := NewStepper(dev, m, method, o, g.Seed, Classification(dev, 2, nil, 0), g.Steps)
	s.Steps = g.Steps
	return s
}

// test compares the logits, the loss and the gradients of the first step and, if steps is not 0, what all steps lead
// to.
func (g *goldenMethod) test(t *testing.T, dev compute.Device, near float64, steps int) {
	s, batch := g.stepper(t, dev), g.batch()
	used := map[string]bool{}
	check := func(name string, got []float64, near float64) {
		t.Helper()
		want, ok := g.floats[name]
		used[name] = true
		if e := apart(got, want); !ok || !(e <= near) {
			t.Errorf("%s: relative error %.3g; want at most %.3g", name, e, near)
		}
	}
	logits := func() []float64 {
		l, err := s.Results(batch)
		if err != nil {
			t.Fatal(err)
		}
		return doubles(l)
	}
	// A method that draws something in each step computes other logits in an evaluation.
	if v, ok := s.Method.(adapter.Viewer); !ok || len(v.Views()) == 0 {
		check("logits", logits(), max(near, 1e-7))
	}
	s.gradient(1, []model.Batch{batch}, nil)
	check("loss", values(dev, s.loss), near)
	for _, p := range s.Opt.Params() {
		name, near := "grad."+adapterName(p), near
		if keyBias(name) { // both values are rounding errors
			used[name], used["final."+adapterName(p)] = true, true
			if e := largestOf(values(dev, p.Grad)); !(e <= near*g.largestGradient()) {
				t.Errorf("%s: %.3g; want none", name, e)
			}
			continue
		}
		if dev.Bytes(compute.Exact) == 4 {
			// In float32 what cancels in a small gradient is of the size of the largest one.
			near *= max(1, g.largestGradient()/largestOf(g.floats[name]))
		}
		check(name, values(dev, p.Grad), near)
	}
	if steps == 0 {
		return
	}
	var records changes
	for step := 1; step <= g.Steps; step++ {
		if err := s.Step(step, []model.Batch{batch}, 1); err != nil {
			t.Fatal(err)
		}
		records.after(t, s, step)
	}
	reports, err := s.Reports(1, g.Steps)
	if err != nil {
		t.Fatal(err)
	}
	var losses, norms []float64
	for _, r := range reports {
		losses, norms = append(losses, r.Loss), append(norms, r.GradNorm)
	}
	// Reports and logits pass through float32.
	check("losses", losses, max(near, 1e-7))
	check("grad_norm", norms, max(10*near, 1e-7))
	end := near
	if dev.Bytes(compute.Exact) == 4 {
		end *= 20
	}
	for _, p := range s.Opt.Params() {
		if keyBias(p.Name) {
			continue
		}
		check("final."+adapterName(p), values(dev, p.Exact()), end)
	}
	check("final_logits", logits(), max(end, 1e-7))
	var structure struct {
		Pattern map[string][]bool `json:"rank_pattern"`
	}
	if text := s.Method.Structure(); text != nil {
		if err := json.Unmarshal(text, &structure); err != nil {
			t.Fatal(err)
		}
	}
	var ties []int32
	var distances []float64
	for _, rec := range records.all {
		if tie, ok := rec.(schedule.Tie); ok {
			ties = append(ties, int32(tie.Step), int32(slices.Index(tied(records.all), tie.Linear)), int32(tie.Layer),
				int32(tie.Keep))
			distances = append(distances, tie.Distance)
		}
	}
	if !slices.Equal(ties, g.ints["ties"]) {
		t.Errorf("ties %v; want %v", ties, g.ints["ties"])
	}
	if distances != nil {
		check("distances", distances, max(near, 1e-6))
	}
	for name, want := range g.ints {
		if name, ok := strings.CutPrefix(name, "pattern."); ok {
			for i, kept := range structure.Pattern[name] {
				if kept != (want[i] != 0) {
					t.Errorf("triplet %d of %s is kept: %t", i, name, kept)
				}
			}
			if len(structure.Pattern[name]) != len(want) {
				t.Errorf("there are %d triplets of %s; want %d", len(structure.Pattern[name]), name, len(want))
			}
		}
	}
	for name := range g.floats {
		kind, _, _ := strings.Cut(name, ".")
		if !used[name] && kind != "init" && kind != "residual" && kind != "logits" {
			t.Errorf("%s of the golden file was not compared", name)
		}
	}
}

// changes records what a method changes between steps.
type changes struct {
	adapter.Run
	all []schedule.Record
}

func (c *changes) Log(rec schedule.Record) error {
	c.all = append(c.all, rec)
	return nil
}

// after makes the changes that are due after a step.
func (c *changes) after(t *testing.T, s *Stepper, step int) {
	t.Helper()
	if !s.Method.Due(s.at(step)) {
		return
	}
	for {
		change, err := s.Method.Change(s.at(step), c)
		if err != nil {
			t.Fatal(err)
		}
		if change == nil {
			return
		}
		s.Change(func(p *tape.Param) bool { return slices.Contains(change.Reset, p) })
		c.all = append(c.all, change.Log)
	}
}

// tied lists the linear layers of ties by name.
func tied(records []schedule.Record) (names []string) {
	for _, rec := range records {
		if tie, ok := rec.(schedule.Tie); ok {
			names = append(names, tie.Linear)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// largestGradient returns the largest element of all gradients of the first step.
func (g *goldenMethod) largestGradient() (size float64) {
	for name, x := range g.floats {
		if strings.HasPrefix(name, "grad.") {
			size = max(size, largestOf(x))
		}
	}
	return size
}

// largestOf returns the largest magnitude in x.
func largestOf(x []float64) (size float64) {
	for _, v := range x {
		size = max(size, math.Abs(v))
	}
	return size
}

// adapterName is the name of a parameter in an adapter file.
func adapterName(p *tape.Param) string {
	if strings.HasPrefix(p.Name, "base_model.") {
		return p.Name
	}
	return "base_model.model." + p.Name
}

// values returns the elements of a tensor without rounding.
func values(dev compute.Device, x compute.Tensor) []float64 {
	if dev.Bytes(compute.Exact) == 8 {
		return slices.Clone(cpu.Data[float64](x))
	}
	return doubles(download(dev, x))
}

func doubles(v []float32) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}

func singles(v []float64) []float32 {
	out := make([]float32, len(v))
	for i, x := range v {
		out[i] = float32(x)
	}
	return out
}

// apart is the largest difference over the largest value wanted; 0 where both are nothing but zeros.
func apart(got, want []float64) float64 {
	var diff, size float64
	for i := range want {
		if i >= len(got) {
			return math.NaN()
		}
		diff, size = math.Max(diff, math.Abs(got[i]-want[i])), math.Max(size, math.Abs(want[i]))
	}
	if len(got) != len(want) {
		return math.NaN()
	}
	if diff == 0 {
		return 0
	}
	return diff / size
}
