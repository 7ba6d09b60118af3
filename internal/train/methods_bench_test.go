//go:build unix

package train

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/compute/nulldev"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/optim"
	"github.com/lor2c/lor2c/internal/schedule"
)

// timedMethod is a method, or a form of one, in BenchmarkMethods.
type timedMethod struct {
	name  string // of the row
	of    string // the method; name if it is empty
	set   adapter.Values
	limit float64 // of its time over LoRA's; 0 means that the method does other work than LoRA by its nature
}

// timedMethods has the methods whose settings or limits are not the common ones: rank 8 on query and value, where the
// method has these settings, and 1.10 times the time of LoRA. A name that is not here is measured with those.
var timedMethods = []timedMethod{
	{name: "adalora", set: adapter.Values{"init_rank": 8, "target_rank": 4}, limit: 1.2},
	{name: "adamix", set: adapter.Values{"form": "lora", "experts": 4}}, // two passes
	{name: "adamix with one pass", of: "adamix",
		set: adapter.Values{"form": "lora", "experts": 4, "consistency_weight": 0}, limit: 1.1},
	{name: "adapter", set: adapter.Values{"bottleneck": 16}, limit: 1.1},
	{name: "bitfit"},
	{name: "dora", limit: 1.3},
	{name: "full"},
	{name: "hydralora", set: adapter.Values{"experts": 4, "exclude_modules": []string{}}, limit: 1.35},
	{name: "loramoe", set: adapter.Values{"experts": 4, "exclude_modules": []string{}}, limit: 1.35},
	{name: "reslora", set: adapter.Values{"res_type": "is"}, limit: 1.1},
	{name: "reslora with bs", of: "reslora", set: adapter.Values{"res_type": "bs", "pre_num": 4}}, // up to five paths
	{name: "vera", set: adapter.Values{"rank": 8}, limit: 1.1},
}

// methodRows returns a row for every registered method, and those of further forms.
func methodRows() (rows []timedMethod) {
	rows = slices.Clone(timedMethods)
	for _, name := range adapter.Names() {
		if !slices.ContainsFunc(rows, func(r timedMethod) bool { return r.name == name }) {
			rows = append(rows, timedMethod{name: name, limit: 1.1})
		}
	}
	for i := range rows {
		if rows[i].of == "" {
			rows[i].of = rows[i].name
		}
	}
	slices.SortFunc(rows, func(a, b timedMethod) int { return strings.Compare(a.name, b.name) })
	return rows
}

// methodShapes are the encoders of BenchmarkMethods: that of all-MiniLM-L6-v2, and three layers of roberta-base. Each
// method has one of its own, so they have few words.
var methodShapes = []workload{
	{"6x384", few(miniLM, 6), 16, func(float64) float64 { return 64 }, 64},
	{"3x768", few(robertaBase, 3), 16, func(float64) float64 { return 64 }, 64},
}

// few returns c with the given number of layers and few words.
func few(c model.Config, layers int) model.Config {
	c.Layers, c.Vocab = layers, 5000
	return c
}

// methodTime is a row of the results of BenchmarkMethods.
type methodTime struct {
	Method    string  `json:"method"`
	Trained   int     `json:"trained_parameters"`
	Seconds   float64 `json:"seconds"`           // median time of a step
	Processor float64 `json:"processor_seconds"` // median
	// Ratio and ProcessorRatio are medians over the rounds of the step's time over that of the step of LoRA next to it.
	Ratio          float64 `json:"ratio"`
	ProcessorRatio float64 `json:"processor_ratio"`
	Limit          float64 `json:"limit,omitempty"` // of both ratios
}

// BenchmarkMethods compares a step of every method with a step of LoRA. All methods live in one process. A step of LoRA
// comes before each step of another method, so that both meet the same load of the machine, and the medians over the
// rounds leave out what disturbs one of them. LOR2C_METHOD_STEPS names a file for the results.
func BenchmarkMethods(b *testing.B) {
	const rounds = 9
	results := map[string]any{
		"date": time.Now().Format(time.DateOnly), "goarch": runtime.GOARCH, "cpus": runtime.NumCPU(), "rounds": rounds,
	}
	for _, w := range methodShapes {
		b.Run("shape="+w.name, func(b *testing.B) {
			for b.Loop() {
				times := timeMethods(b, w, rounds)
				results[w.name] = times
				for _, t := range times {
					b.ReportMetric(t.Ratio, strings.ReplaceAll(t.Method, " ", "-")+"/lora")
				}
			}
		})
	}
	file := os.Getenv("LOR2C_METHOD_STEPS")
	if file == "" {
		return
	}
	text, err := json.MarshalIndent(results, "", " ")
	if err == nil {
		err = os.WriteFile(file, append(text, '\n'), 0o644)
	}
	if err != nil {
		b.Fatal(err)
	}
}

// timeMethods times steps of all methods on an encoder of random weights.
func timeMethods(b *testing.B, w workload, rounds int) (times []methodTime) {
	dev, batch := cpu.Open[float32](0), []model.Batch{w.batch()}
	var arena int64
	var steppers []*Stepper
	rows := methodRows()
	for _, row := range rows {
		null := nulldev.Like(dev)
		methodStepper(b, null, w.shape, row).gradient(firstTimed, batch, nil)
		arena = max(arena, null.Stats().ArenaPeak)
		steppers = append(steppers, methodStepper(b, dev, w.shape, row))
	}
	dev.Reserve(arena)
	step := func(s *Stepper, n int) (wall, processor float64) {
		start, used := time.Now(), processorTime()
		if err := s.Step(n, batch, 1); err != nil {
			b.Fatal(err)
		}
		return time.Since(start).Seconds(), (processorTime() - used).Seconds()
	}
	lora := steppers[slices.IndexFunc(rows, func(r timedMethod) bool { return r.name == "lora" })]
	samples := make([][4][]float64, len(rows))
	for round := range rounds + 1 { // the first is not counted
		for i := range rows {
			at := (i + round) % len(rows) // no method is always behind the same one
			n := firstTimed + round
			base, baseProcessor := step(lora, n)
			wall, processor := step(steppers[at], n)
			if round == 0 {
				continue
			}
			for k, v := range []float64{wall, processor, wall / base, processor / baseProcessor} {
				samples[at][k] = append(samples[at][k], v)
			}
		}
	}
	for i, row := range rows {
		reports, err := steppers[i].Reports(firstTimed, firstTimed+rounds)
		if err != nil {
			b.Fatal(err)
		}
		for _, r := range reports {
			if r.Halted {
				b.Fatalf("%s: step %d had loss %g", row.name, r.Step, r.Loss)
			}
		}
		s := samples[i]
		times = append(times, methodTime{row.name, adapter.Count(steppers[i].Method.Params()), median(s[0]), median(s[1]),
			median(s[2]), median(s[3]), row.limit})
	}
	return times
}

// firstTimed is the first step of BenchmarkMethods, at which methods with a schedule of their own are in the middle of
// it.
const firstTimed = 40

// methodStepper returns a stepper of a row with random weights.
func methodStepper(tb testing.TB, dev compute.Device, c model.Config, row timedMethod) *Stepper {
	values := adapter.Values{"rank": 8, "alpha": 16, "target_modules": []string{"query", "value"}}
	for key, value := range row.set {
		values[key] = value
	}
	if row.of == "ia3" { // it scales inputs of a layer that is not among these
		delete(values, "target_modules")
	}
	config := adapter.Configure(row.of, values)
	config.Resolve()
	if faults := config.Validate(); faults != nil {
		tb.Fatal(fmt.Errorf("%s: %v", row.name, faults))
	}
	run := schedule.Run{Epochs: 10, Steps: 100, StepsPerEpoch: 10, Layers: c.Layers}
	m := randomEncoder(tb, dev, c, config.Trains())
	method, err := adapter.Attach(dev, m, adapter.Settings{Config: config, Run: run, Seed: 1})
	if err != nil {
		tb.Fatal(err)
	}
	s := NewStepper(dev, m, method, optim.Default(), 1, Classification(dev, 2, nil, 0), 16)
	s.Steps = run.Steps
	return s
}

// median returns the middle of an odd number of values.
func median(values []float64) float64 { return slices.Sorted(slices.Values(values))[len(values)/2] }
