package train

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/identity"
)

// interrupted runs c until it is finished, in processes of one step each.
func interrupted(t *testing.T, c *config.Config) {
	t.Helper()
	for range 100 {
		ctx, cancel := context.WithCancel(context.Background())
		o := quiet(1)
		o.Began = cancel
		_, err := Run(ctx, c, o)
		cancel()
		if err == nil {
			return
		}
		if !errors.Is(err, ErrInterrupted) {
			t.Fatal(err)
		}
	}
	t.Fatal("the run does not end")
}

// TestExtend: epochs can be added to a finished and to an unfinished run, with
// the same result, also if the extended run is interrupted after every step.
// More epochs can be added later.
func TestExtend(t *testing.T) {
	original := shortRun(t, t.TempDir())
	results := []string{"metrics.jsonl", "metrics.csv", "all_results.json", "final/adapter_model.safetensors",
		"checkpoint-6/optimizer.safetensors", "best"}
	longer := *original
	longer.Train.ExtendEpochs = []int{1}
	longer.Out = filepath.Join(t.TempDir(), "planned")
	if _, err := Run(context.Background(), &longer, quiet(1)); err != nil {
		t.Fatal(err)
	}
	want := contents(t, longer.Out)
	if strings.Count(want["metrics.jsonl"], `"kind":"eval"`) < 3 {
		t.Fatalf("a run of 2 and 1 epochs has the log\n%s", want["metrics.jsonl"])
	}
	same := func(t *testing.T, got map[string]string) {
		t.Helper()
		for _, name := range results {
			if got[name] != want[name] || want[name] == "" {
				t.Errorf("%s differs", name)
			}
		}
	}
	// The planned part equals that of a run that was not extended.
	short := contents(t, original.Out)
	if !strings.HasPrefix(want["metrics.jsonl"], short["metrics.jsonl"]) {
		t.Errorf("the log of the longer run is\n%s\nwant it to begin with\n%s", want["metrics.jsonl"], short["metrics.jsonl"])
	}
	for _, state := range []string{"done", "half-way"} {
		t.Run("run="+state, func(t *testing.T) {
			onlyLong(t, state == "done")
			run := *original
			run.Out = filepath.Join(t.TempDir(), "run")
			if err := os.CopyFS(run.Out, os.DirFS(original.Out)); err != nil {
				t.Fatal(err)
			}
			if state == "half-way" {
				// These are the files that a run stopped after its third step does not
				// have.
				for _, name := range []string{"checkpoint-4", "final", "all_results.json", "eval_results.json"} {
					os.RemoveAll(filepath.Join(run.Out, name))
				}
			}
			run.Train.ExtendEpochs = []int{1}
			interrupted(t, &run)
			same(t, contents(t, run.Out))
			if _, err := Run(context.Background(), &run, quiet(1)); err != nil {
				t.Errorf("the same command again: %v", err)
			}
			same(t, contents(t, run.Out))

			run.Train.ExtendEpochs = nil
			if _, err := Run(context.Background(), &run, quiet(1)); !errors.Is(err, ErrOtherRun) ||
				!strings.Contains(err.Error(), "train.extend_epochs: [1] in the run, [] now") {
				t.Errorf("without the added epoch: %v", err)
			}
			run.Train.ExtendEpochs = []int{1, 2}
			got, err := Run(context.Background(), &run, quiet(1))
			if err != nil {
				t.Fatal(err)
			}
			files := contents(t, run.Out)
			if !strings.HasPrefix(files["metrics.jsonl"], want["metrics.jsonl"]) || files["checkpoint-10/state.json"] == "" ||
				got.BestEpoch < 1 {
				t.Error("two more epochs did not continue the log to step 10")
			}
		})
	}
}

// TestExtendStopped: a run that early stopping ended cannot be extended, and
// the command that ended it can be repeated.
func TestExtendStopped(t *testing.T) {
	c := shortRun(t, t.TempDir())
	c.Train.Epochs, c.Train.EarlyStopping, c.Train.MinDelta = 4, 1, 10
	c.Out = filepath.Join(t.TempDir(), "run")
	for range 2 {
		if _, err := Run(context.Background(), c, quiet(1)); err != nil {
			t.Fatal(err)
		}
	}
	before := contents(t, c.Out)
	if before["checkpoint-4/state.json"] == "" || before["checkpoint-8/state.json"] != "" {
		t.Fatal("the run did not stop after its second epoch")
	}
	longer := *c
	longer.Train.ExtendEpochs = []int{1}
	_, err := Run(context.Background(), &longer, quiet(1))
	want := "train: open " + c.Out + ": early stopping ended the run at step 4, and it would end the added epochs too; " +
		"start a new run from its adapter with --init-adapter " + filepath.Join(c.Out, "best")
	if !errors.Is(err, ErrOtherRun) || err.Error() != want {
		t.Errorf("error %v\nwant  %s", err, want)
	}
	if d := cmp.Diff(before, contents(t, c.Out)); d != "" {
		t.Errorf("the refused run changed the directory:\n%s", d)
	}
}

// TestFactor compares the learning rates of an extended run with the formula,
// computed by hand: 4 planned steps, then 2 and 4 added, without warm-up.
func TestFactor(t *testing.T) {
	c := config.Default()
	c.Train.Epochs, c.Train.ExtendEpochs, c.Optim.WarmupRatio = 2, []int{1, 2}, 0
	r := newTimetable(&c, 2*c.Train.BatchSize)
	want := []float64{4. / 4, 3. / 4, 2. / 4, 1. / 4, 2. / 6, 1. / 6, 4. / 10, 3. / 10, 2. / 10, 1. / 10}
	if r.steps != len(want) {
		t.Fatalf("the run has %d steps; want %d", r.steps, len(want))
	}
	for i, w := range want {
		if got := r.factor(i + 1); got != w {
			t.Errorf("step %d has the factor %g; want %g", i+1, got, w)
		}
	}
}

// TestInitAdapter begins a run with the values of an adapter.
func TestInitAdapter(t *testing.T) {
	first := shortRun(t, t.TempDir())
	run := *first
	run.InitAdapter, run.Out = filepath.Join(first.Out, "final"), filepath.Join(t.TempDir(), "second")
	run.Optim.LR = 1e-3
	var said strings.Builder
	o := quiet(1)
	o.Stderr = &said
	if _, err := Run(context.Background(), &run, o); err != nil {
		t.Fatal(err)
	}
	want := contents(t, run.Out)
	if line := "beginning with the values of " + run.InitAdapter +
		"; its head is used too, with outputs matched by label"; !strings.Contains(said.String(), line) {
		t.Errorf("the run said %q; want %q", said.String(), line)
	}
	t.Run("resumed", func(t *testing.T) {
		again := run
		again.Out = filepath.Join(t.TempDir(), "again")
		interrupted(t, &again)
		got := contents(t, again.Out)
		for _, name := range []string{"metrics.jsonl", "final/adapter_model.safetensors", "final/" + identity.File} {
			if got[name] != want[name] {
				t.Errorf("%s differs", name)
			}
		}
	})
	t.Run("values", func(t *testing.T) {
		c := run
		c.Data.Labels = append([]string{}, run.Data.Labels...)
		last := len(c.Data.Labels) - 1
		c.Data.Labels[0], c.Data.Labels[last] = c.Data.Labels[last], c.Data.Labels[0]
		s, err := OpenSession(context.Background(), &c)
		if err != nil {
			t.Fatal(err)
		}
		dev := quiet(1).Device
		saved, err := adapter.Open(run.InitAdapter)
		if err != nil {
			t.Fatal(err)
		}
		defer saved.Close()
		m, method, err := s.attach(dev, adapter.Settings{Config: c.Method, Seed: s.Config.Seed})
		if err != nil {
			t.Fatal(err)
		}
		if took, err := saved.Begin(dev, method, m.Head(), c.Data.Labels); !took || err != nil {
			t.Fatalf("the head was used: %v, %v", took, err)
		}
		own, err := Evaluate(context.Background(), first, dev, run.InitAdapter, "dev", nil)
		if err != nil {
			t.Fatal(err)
		}
		d, err := s.load(context.Background(), "dev", true)
		if err != nil {
			t.Fatal(err)
		}
		st := &Stepper{Dev: dev, Model: m, Method: method, Objective: s.objective(dev, m, nil)}
		e, err := st.evaluate(context.Background(), d, sequence(d.Len()), s.Set.Task.Metrics, config.Train{EvalBatchSize: 8})
		if err != nil {
			t.Fatal(err)
		}
		if diff := e.Loss - own.Loss; diff > 1e-6 || diff < -1e-6 || e.Scores["accuracy"] != own.Scores["accuracy"] {
			t.Errorf("with two classes exchanged the adapter scores %v, loss %v; want %v, %v", e.Scores, e.Loss, own.Scores,
				own.Loss)
		}
	})
	for name, c := range map[string]struct {
		change func(c *config.Config)
		want   string // part of the error; "" for a run with a new head
	}{
		"rank": {func(c *config.Config) { c.Method = c.Method.With(adapter.Values{"rank": 4}) },
			"method.rank: 8 in the adapter, 4 now"},
		"alpha": {func(c *config.Config) { c.Method = c.Method.With(adapter.Values{"alpha": 4}) },
			"method.alpha: 16 in the adapter, 4 now"},
		"method": {func(c *config.Config) { c.Method = adapter.NewConfig("lora") },
			"method.name: lor2c in the adapter, lora now"},
		"labels": {func(c *config.Config) { c.Data.Labels = append([]string{"zebra"}, c.Data.Labels...) }, ""},
		"none":   {func(c *config.Config) { c.InitAdapter += "-none" }, "file does not exist"},
	} {
		t.Run("change="+name, func(t *testing.T) {
			other := run
			other.Out = filepath.Join(t.TempDir(), "other")
			c.change(&other)
			var said strings.Builder
			o := quiet(1)
			o.Stderr = &said
			_, err := Run(context.Background(), &other, o)
			if c.want == "" {
				if err != nil || !strings.Contains(said.String(), "the head is new") {
					t.Errorf("%v; the run said %q", err, said.String())
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || name != "none" && !errors.Is(err, adapter.ErrMismatch) {
				t.Errorf("error is %v; want %q", err, c.want)
			}
		})
	}
	t.Run("changed adapter", func(t *testing.T) {
		other := run
		other.InitAdapter = filepath.Join(first.Out, "checkpoint-2")
		if _, err := Run(context.Background(), &other, quiet(1)); !errors.Is(err, ErrOtherRun) ||
			!strings.Contains(err.Error(), "init_adapter: tensors with the SHA-256") {
			t.Errorf("error is %v; want one that names init_adapter", err)
		}
	})
}
