package train

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/runlog"
	"github.com/lor2c/lor2c/internal/schedule"
)

// ticking returns a clock that advances by a second at each reading, or by what step returns for the reading.
func ticking(step func(reading int) time.Duration) func() time.Time {
	at, n := time.Unix(0, 0), 0
	return func() time.Time {
		if n++; step != nil {
			at = at.Add(step(n - 1))
		} else {
			at = at.Add(time.Second)
		}
		return at
	}
}

// predicted returns the forecast of c on a device.
func predicted(t *testing.T, c *config.Config, dev compute.Device, budget time.Duration,
	now func() time.Time) *Forecast {
	t.Helper()
	f, err := Predict(t.Context(), c, ForecastOptions{Device: dev, Budget: budget, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestForecast compares the forecasts of runs with the runs: every byte of the device, the activations in use, the
// checkpoints, the steps, the evaluations, and the merges and injections. A forecast leaves no run directory.
func TestForecast(t *testing.T) {
	for name, change := range map[string]func(c *config.Config){
		"lor2c": func(c *config.Config) {
			c.Schedule.MaxMerges, c.Schedule.MaxInjects, c.Schedule.Timing = 1, 1, schedule.TimingSteps
			c.Schedule.Until, c.Schedule.WhatIf, c.Train.Epochs = 1, 8, 4
		},
		"lora":    func(c *config.Config) { c.Method = adapter.NewConfig("lora"); c.Train.MicroBatchSize = 4 },
		"prefix":  func(c *config.Config) { c.Method = adapter.NewConfig("prefix"); c.Train.LogGradients = false },
		"adalora": func(c *config.Config) { c.Method = adapter.NewConfig("adalora"); c.Train.MaxSteps = 5 },
		"full":    func(c *config.Config) { c.Method = adapter.NewConfig("full"); c.Train.EvalEvery = 4 },
		"nf4":     func(c *config.Config) { c.Train.Quantize = config.QuantizeNF4; c.Train.ExtendEpochs = []int{1} },
	} {
		t.Run("run="+name, func(t *testing.T) {
			c := demoConfig(t, t.TempDir(), 40)
			c.Train.SaveEvery = 0
			change(c)
			c.Resolve()
			f := predicted(t, c, cpu.Open[float32](2), 0, ticking(nil))
			if exists(c.Out) {
				t.Fatalf("the forecast left %v", tree(t, c.Out))
			}
			o := quiet(2)
			dev := o.Device
			var before compute.Stats
			o.Began = func() { before = dev.Stats() }
			if _, err := Run(context.Background(), c, o); err != nil {
				t.Fatal(err)
			}
			after, m := dev.Stats(), f.Memory
			if got, want := before.PersistentBytes, m.Total-m.Activations; got != want {
				t.Errorf("the run has %d persistent bytes; %d were forecast", got, want)
			}
			if got := before.ArenaBytes; got != m.Activations || after.Grown != 0 {
				t.Errorf("the arena has %d bytes and grew %d times; %d were forecast", got, after.Grown, m.Activations)
			}
			// All but the slack of the plan is in use at one time.
			used := float64(after.ArenaPeak) / (float64(m.Activations-1<<16) / (1 + 1./256))
			if len(f.Work.Schedule) == 0 && (used < 0.99 || used > 1.01) {
				t.Errorf("%.4f of the activations are in use at most", used)
			}
			checkRecords(t, c, f)
			saved := bytesIn(t, checkpointAt(c.Out, f.Work.Steps))
			if rest := saved - f.Disk.Checkpoint; len(f.Work.Schedule) == 0 && (rest < 0 || rest > 40<<10) {
				t.Errorf("a checkpoint has %d bytes; %d and the text files were forecast", saved, f.Disk.Checkpoint)
			}
		})
	}
}

// checkRecords compares the extent of a run in its log with the forecast.
func checkRecords(t *testing.T, c *config.Config, f *Forecast) {
	t.Helper()
	records, err := runlog.ReadMetrics(c.Out)
	if err != nil {
		t.Fatal(err)
	}
	evaluations, last, due := 0, 0, []schedule.Due{}
	for _, rec := range records {
		last = rec.At()
		switch rec := rec.(type) {
		case runlog.Eval:
			evaluations++
		case schedule.Event:
			if n := len(due); n == 0 || due[n-1].Step != rec.Step {
				due = append(due, schedule.Due{Step: rec.Step, Epoch: rec.Epoch})
			}
			due[len(due)-1].Merge = due[len(due)-1].Merge || rec.Action == string(schedule.Merge)
			due[len(due)-1].Inject = due[len(due)-1].Inject || rec.Action == string(schedule.Inject)
		}
	}
	if last != f.Work.Steps || evaluations != f.Work.Evaluations {
		t.Errorf("%d steps and %d evaluations; %d and %d were forecast", last, evaluations, f.Work.Steps, f.Work.Evaluations)
	}
	if d := cmp.Diff(f.Work.Schedule, due); d != "" {
		t.Errorf("the schedule (-forecast +run):\n%s", d)
	}
	s, train, _ := loaded(t, c)
	tokens := 0
	for step := 1; step <= f.Work.Steps; step++ {
		for _, i := range s.step(train.Len(), step) {
			tokens += train.Tokens(i)
		}
	}
	if tokens != f.Work.Tokens {
		t.Errorf("%d tokens; %d were forecast", tokens, f.Work.Tokens)
	}
}

// bytesIn returns the size of the files in a directory.
func bytesIn(t *testing.T, dir string) (n int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := os.Stat(path)
		n += info.Size()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestForecastTime: each pass takes a second of the clock, so the time follows from the tokens of the ten steps that
// are measured and of the evaluation.
func TestForecastTime(t *testing.T) {
	c := demoConfig(t, t.TempDir(), 40)
	c.Train.Epochs, c.Train.EvalBatchSize = 3, 24 // enough steps, and the dev split in one pass
	f := predicted(t, c, cpu.Open[float32](2), 0, ticking(nil))
	s, train, _ := loaded(t, c)
	sum, fewest, most := 0, math.MaxInt, 0
	for i := warmUpSteps; i < warmUpSteps+calibrationSteps; i++ {
		n := train.tokens(s.step(train.Len(), 1+i))
		sum, fewest, most = sum+n, min(fewest, n), max(most, n)
	}
	evaluations := float64(f.Work.Evaluations)
	for _, got := range [][2]float64{
		{f.Time.Seconds, float64(f.Work.Tokens)*calibrationSteps/float64(sum) + evaluations},
		{f.Time.Low, float64(f.Work.Tokens)/float64(most) + evaluations},
		{f.Time.High, float64(f.Work.Tokens)/float64(fewest) + evaluations},
		{f.Time.Evaluation, 1},
	} {
		if math.Abs(got[0]-got[1]) > 1e-9*got[1] {
			t.Errorf("%v seconds; want %v", got[0], got[1])
		}
	}
}

// TestForecastOfFewSteps: the forecast of a run takes no more steps and no more passes of an evaluation than the run,
// and says how many steps it measured. A forecast reads the clock twice in each.
func TestForecastOfFewSteps(t *testing.T) {
	for _, c := range []struct{ steps, measured, passes int }{
		{1, 1, 1 + 1}, {3, 1, 3 + 1}, {5, 3, 5 + 1}, {20, calibrationSteps, warmUpSteps + calibrationSteps + 1},
	} {
		cfg := demoConfig(t, t.TempDir(), 40)
		cfg.Train.MaxSteps, cfg.Train.EvalEvery, cfg.Train.EvalBatchSize = c.steps, 20, 24 // one evaluation in one pass
		readings := 0
		f := predicted(t, cfg, cpu.Open[float32](2), 0, ticking(func(reading int) time.Duration {
			readings = reading + 1
			return time.Second
		}))
		if f.Work.Steps != c.steps || f.Work.Evaluations != 1 || f.Time.Measured != c.measured || readings != 2*c.passes {
			t.Errorf("%d steps and %d evaluations: %d measured with %d readings; want %d with %d", f.Work.Steps,
				f.Work.Evaluations, f.Time.Measured, readings, c.measured, 2*c.passes)
		}
		if !(f.Time.Low > 0) || f.Time.Low > f.Time.Seconds || f.Time.Seconds > f.Time.High {
			t.Errorf("%d steps: %v seconds, %v to %v", c.steps, f.Time.Seconds, f.Time.Low, f.Time.High)
		}
	}
}

// TestForecastTooLarge: a run that does not fit has a forecast without times and the error of the run, and fits with
// each change that is named.
func TestForecastTooLarge(t *testing.T) {
	c := demoConfig(t, t.TempDir(), 24)
	whole := planned(t, c, cpu.Open[float32](2))
	dev := &bounded{Device: cpu.Open[float32](2), free: whole.Weights + whole.Trained + whole.Arena/2, host: true}
	f, err := Predict(t.Context(), c, ForecastOptions{Device: dev, Now: ticking(nil)})
	if !errors.Is(err, compute.ErrOutOfMemory) || f == nil || f.Time != nil || f.Memory.Fits || dev.allocs != 0 {
		t.Fatalf("forecast %+v, error %v, %d allocations", f, err, dev.allocs)
	}
	_, failed := Run(t.Context(), c, Options{Device: dev, Resume: ResumeAuto})
	if fmt.Sprint(err) != fmt.Sprint(failed) {
		t.Errorf("error %v; the run has %v", err, failed)
	}
	if len(f.Memory.Changes) != 3 {
		t.Errorf("changes %+v; want three", f.Memory.Changes)
	}
	for _, change := range f.Memory.Changes {
		if change.Memory > dev.free {
			t.Errorf("with %s it needs %d bytes of %d", change.Set, change.Memory, dev.free)
		}
	}
}

// TestLargest: the largest micro-batch fits, and one more example does not.
func TestLargest(t *testing.T) {
	c := demoConfig(t, t.TempDir(), 24)
	s, train, dev := loaded(t, c)
	r := &run{session: s, train: train, test: dev, dev: cpu.Open[float32](1)}
	settings := adapter.Settings{Config: c.Method, Seed: c.Seed}
	lengths := train.shorter(1000)
	total := func(n int) int64 {
		other, session := *c, *s
		other.Train.EvalBatchSize = min(n, c.Train.EvalBatchSize)
		session.Config = &other
		longest := 0
		order := sequence(lengths.Len())
		for range n {
			best := 0
			for i := range order {
				if lengths.Tokens(order[i]) > lengths.Tokens(order[best]) {
					best = i
				}
			}
			longest += lengths.Tokens(order[best])
			order = append(order[:best], order[best+1:]...)
		}
		p, err := session.planBatch(r.dev, train, dev, settings, longest, n)
		if err != nil {
			t.Fatal(err)
		}
		return p.Total()
	}
	for _, n := range []int{1, 2, 5, 8, 13, 24} {
		if got := r.largest(total(n), settings); got != n {
			t.Errorf("%d examples fit into the memory of %d", got, n)
		}
	}
	if got := r.largest(total(1)-1, settings); got != 0 {
		t.Errorf("%d examples fit into less than the memory of one", got)
	}
}

// TestBudget: the fastest micro-batch is chosen, and the run is shortened to what ends in time at the slowest pace.
func TestBudget(t *testing.T) {
	c := demoConfig(t, t.TempDir(), 24)
	c.Train.Epochs, c.Train.EvalBatchSize = 8, 24
	// Sizes 8, 4, 2 and 1 are measured, each with two readings of the clock for each of five steps. Size 4 is fastest.
	now := func() func() time.Time {
		return ticking(func(reading int) time.Duration {
			if reading/(2*(warmUpSteps+choiceSteps)) == 1 {
				return time.Second / 2
			}
			return time.Second
		})
	}
	f := predicted(t, c, cpu.Open[float32](2), time.Hour, now())
	if b := f.Budget; !b.Within || b.Steps != 24 || len(b.Tried) != 4 || cmp.Diff(b.Set,
		[]string{"train.micro_batch_size=4"}) != "" || f.Memory.Examples != 4 || f.Memory.Total != b.Tried[1].Memory {
		t.Errorf("budget %+v with %d examples; want a micro-batch of 4 within it", b, f.Memory.Examples)
	}
	half := time.Duration(f.Time.High/2*float64(time.Second)) + time.Millisecond
	if b := predicted(t, c, cpu.Open[float32](2), half, now()).Budget; b.Within || b.Steps != 12 ||
		cmp.Diff(b.Set, []string{"train.micro_batch_size=4", "train.epochs=4"}) != "" {
		t.Errorf("half the time: %+v; want half the epochs", b)
	}
	if b := predicted(t, c, cpu.Open[float32](2), half/5, now()).Budget; b.Within || b.Steps != 2 ||
		cmp.Diff(b.Set, []string{"train.micro_batch_size=4", "train.max_steps=2"}) != "" {
		t.Errorf("a tenth of the time: %+v; want two steps", b)
	}
	// An evaluation of ten seconds leaves time for one step of less than two, although two of 24 steps take a smaller
	// share of the whole time.
	slow := ticking(func(reading int) time.Duration {
		if reading >= 2*(4*(warmUpSteps+choiceSteps)+warmUpSteps+calibrationSteps) {
			return 10 * time.Second
		}
		return time.Second
	})
	if b := predicted(t, c, cpu.Open[float32](2), 12*time.Second, slow).Budget; b.Within || b.Steps != 1 {
		t.Errorf("slow evaluations: %+v; want one step", b)
	}
	c.Train.MicroBatchTokens = 64
	if b := predicted(t, c, cpu.Open[float32](2), time.Hour, ticking(nil)).Budget; len(b.Tried) != 1 || len(b.Set) != 0 {
		t.Errorf("with a limit of tokens: %+v; want the size of the settings", b)
	}
}

// TestForecastEnds: a forecast ends with its context, and says so.
func TestForecastEnds(t *testing.T) {
	c := demoConfig(t, t.TempDir(), 24)
	ctx, cancel := context.WithCancel(t.Context())
	clock := ticking(nil)
	now := func() time.Time { cancel(); return clock() }
	_, err := Predict(ctx, c, ForecastOptions{Device: cpu.Open[float32](1), Now: now})
	if !errors.Is(err, ErrInterrupted) || exists(c.Out) {
		t.Errorf("error %v; want ErrInterrupted and no files", err)
	}
}
