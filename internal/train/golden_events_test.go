package train

import (
	"encoding/json"
	"os"
	"path/filepath"
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

// goldenEvents is one case of scripts/golden_events.py.
type goldenEvents struct {
	golden
	InjectAlpha float64 `json:"inject_alpha"`
	Events      []struct {
		Step  int
		Kind  string
		Where []int
	}
}

// TestGoldenEvents compares ten optimizer steps with merges and injections with
// PyTorch: losses, norms, and the values and moments of the remaining
// parameters.
func TestGoldenEvents(t *testing.T) {
	eachGoldenEvents(t, func(t *testing.T, name string, g *goldenEvents) {
		t.Run("case="+name+"/dtype=float32",
			func(t *testing.T) { testGoldenEvents(t, g, cpu.Open[float32](2), exactlyEvents(1e-5)) })
		t.Run("case="+name+"/dtype=float64",
			func(t *testing.T) { testGoldenEvents(t, g, cpu.Open[float64](2), exactlyEvents(5e-7)) })
	})
}

// exactlyEvents is the function exactly for the kinds of values in these cases.
// All of them except losses and norms are the result of ten steps.
func exactlyEvents(one float64) tolerances {
	t := exactly(one)
	t["exp_avg"], t["exp_avg_sq"], t["logits"] = t["final"], t["final"], t["final"]
	return t
}

func eachGoldenEvents(t *testing.T, f func(t *testing.T, name string, g *goldenEvents)) {
	files, err := filepath.Glob("../../testdata/golden_events/*.safetensors")
	if err != nil || len(files) != 5 {
		t.Fatalf("%d golden files, %v; want 5", len(files), err)
	}
	raw, err := os.ReadFile("../../testdata/golden_events/MANIFEST.json")
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct {
		BFloat16 map[string]tolerances `json:"torch_bfloat16_relative"`
	}
	if err := json.Unmarshal(raw, &manifest); err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		file, err := checkpoint.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		g := &goldenEvents{golden: golden{file: file}}
		if err := json.Unmarshal([]byte(file.Metadata()["case"]), g); err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(path), ".safetensors")
		g.BFloat16 = manifest.BFloat16[name]
		f(t, name, g)
	}
}

func testGoldenEvents(t *testing.T, g *goldenEvents, dev compute.Device, within tolerances) {
	batch, near := g.batch(t), within.compare()
	defer near.done(t)
	outputs := len(g.floats(t, "logits")) / batch.Len()
	m, err := model.Load(dev, filepath.Join(goldenDir, g.Model), storedHead(outputs), 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	noDropout(m)
	c := adapter.Configure("lor2c",
		adapter.Values{"rank": g.R, "alpha": g.Alpha, "dropout": 0.0, "share": g.Share,
			"target_modules": []string{"query", "value"}, "inject_alpha": g.InjectAlpha, "inject_dropout": 0.0})
	c.Resolve()
	attached, err := adapter.Attach(dev, m, adapter.Settings{Config: c, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	method := attached.(*adapter.LoR2C)
	set := func(params []*tape.Param) {
		for _, p := range params {
			p.Upload(dev, g.floats(t, "init."+p.Name))
		}
	}
	set(method.Params())
	s := NewStepper(dev, m, method, optim.Config{
		LR: g.LR, HeadLRRatio: g.HeadLR / g.LR, WeightDecay: g.WeightDecay, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8,
		Schedule: "constant", MaxGradNorm: g.Clip,
	}, 1, Classification(dev, m.Outputs(), nil, 0), g.Steps)
	for step := 1; step <= g.Steps; step++ {
		if err := s.Step(step, []model.Batch{batch}, 1); err != nil {
			t.Fatal(err)
		}
		for _, e := range g.Events {
			switch {
			case e.Step != step:
				continue
			case e.Kind == "merge":
				method.Merge(e.Where[0], e.Where[1], e.Where[2])
			default:
				method.Inject(e.Where[0])
				set(method.Pairs(e.Where[0])[:1])
				set(method.Pairs(e.Where[0])[2:3])
			}
			s.Change(func(*tape.Param) bool { return false })
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
	finals := 0
	for _, p := range s.Opt.Moments() {
		name := g.fileName(p.Param)
		near.check(t, "final", "final."+name, download(dev, p.Exact()), g.floats(t, "final."+name))
		near.check(t, "exp_avg", "exp_avg."+name, download(dev, p.First), g.floats(t, "exp_avg."+name))
		near.check(t, "exp_avg_sq", "exp_avg_sq."+name, download(dev, p.Second), g.floats(t, "exp_avg_sq."+name))
		finals++
	}
	for _, name := range g.file.Names() {
		if strings.HasPrefix(name, "final.") {
			finals--
		}
	}
	if finals != 0 {
		t.Errorf("compared %+d parameters more than the golden file has", finals)
	}
	logits, err := s.Results(batch)
	if err != nil {
		t.Fatal(err)
	}
	near.check(t, "logits", "logits", logits, g.floats(t, "logits"))
}
