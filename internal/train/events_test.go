package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/runlog"
	"github.com/lor2c/lor2c/internal/schedule"
)

// eventConfig returns a run of 24 examples with 3 steps per epoch. Its model
// has 4 layers. It merges twice and injects once: both after epoch 1, and
// another merge after epoch 2 if a pair is left.
func eventConfig(t testing.TB, dir string) *config.Config {
	t.Helper()
	c := demoConfig(t, dir, 24)
	c.Train.Epochs, c.Train.KeepCheckpoints = 4, 100
	c.Schedule.MaxMerges, c.Schedule.MaxInjects = 2, 1
	return c
}

func events(t testing.TB, dir string) (events []schedule.Event) {
	t.Helper()
	records, err := runlog.ReadMetrics(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if e, ok := r.(schedule.Event); ok {
			events = append(events, e)
		}
	}
	return events
}

// tensors returns all tensors of a safetensors file by name.
func tensors(t testing.TB, path ...string) map[string][]float32 {
	t.Helper()
	f, err := checkpoint.Open(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all := map[string][]float32{}
	for _, name := range f.Names() {
		_, shape, _ := f.Info(name)
		all[name] = make([]float32, compute.Shape(shape).Len())
		if err := f.ReadInto(all[name], name); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// TestEvents: through all events of a run, the log describes what is saved, and
// all remaining parameters continue to train.
func TestEvents(t *testing.T) {
	for _, share := range []bool{false, true} {
		t.Run(fmt.Sprintf("share=%v", share), func(t *testing.T) {
			c := eventConfig(t, t.TempDir())
			c.Method = c.Method.With(adapter.Values{"share": share})
			outcome, err := Run(context.Background(), c, quiet(2))
			if err != nil {
				t.Fatal(err)
			}
			all := events(t, c.Out)
			if len(all) < 2 || all[0].Action != "merge" || all[0].Step != 3 || all[1].Action != "inject" || all[1].Step != 3 {
				t.Fatalf("events are %+v; want a merge and an injection after step 3", all)
			}
			for i, e := range all[1:] {
				if e.ParametersBefore != all[i].ParametersAfter || !slices.Equal(e.Before.Modules, all[i].After.Modules) {
					t.Errorf("event %d begins with %+v, but the one before ends with %+v", i+1, e.Before, all[i].After)
				}
			}
			last := all[len(all)-1]
			saved, err := adapter.Open(filepath.Join(c.Out, finalDir))
			if err != nil {
				t.Fatal(err)
			}
			defer saved.Close()
			var layout schedule.Structure
			if err := json.Unmarshal(saved.Structure, &layout); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(layout.Modules, last.After.Modules) || !slices.Equal(layout.Injected, last.After.Injected) {
				t.Errorf("saved is %s; the last event left %+v", saved.Structure, last.After)
			}

			final := tensors(t, c.Out, finalDir, "adapter_model.safetensors")
			n := 0
			for name, v := range final {
				if strings.Contains(name, "lora_") || strings.Contains(name, "lor2c") {
					n += len(v)
				}
			}
			if n != last.ParametersAfter {
				t.Errorf("%d scalars are saved; the last event left %d", n, last.ParametersAfter)
			}
			at := tensors(t, c.Out, fmt.Sprint(checkpointPrefix, last.Step), "adapter_model.safetensors")
			if !slices.Equal(slices.Sorted(maps.Keys(at)), slices.Sorted(maps.Keys(final))) {
				t.Error("the checkpoint of the last event has other tensors than the end")
			}
			for name, v := range final {
				if slices.Equal(v, at[name]) {
					t.Errorf("%s has not changed since the last event", name)
				}
			}

			e, err := Evaluate(context.Background(), c, cpu.Open[float32](1), filepath.Join(c.Out, finalDir), "dev", nil)
			if err != nil {
				t.Fatal(err)
			}
			best, err := Evaluate(context.Background(), c, cpu.Open[float32](1), filepath.Join(c.Out, bestLink), "dev", nil)
			if err != nil {
				t.Fatal(err)
			}
			if best.Loss != outcome.Dev.Loss {
				t.Errorf("best evaluates to %v; the run said %v", best.Loss, outcome.Dev.Loss)
			}
			records, err := runlog.ReadMetrics(c.Out)
			if err != nil {
				t.Fatal(err)
			}
			if said := records[len(records)-1].(runlog.Eval).Loss; said != e.Loss {
				t.Errorf("final evaluates to %v; the run said %v", e.Loss, said)
			}
		})
	}
}

// TestResumeEvents cancels a run after every step, so that it also resumes
// between an event and the next step. Records and tensors must be those of an
// uninterrupted run.
func TestResumeEvents(t *testing.T) {
	for _, timing := range []string{"epochs", "steps"} {
		t.Run("timing="+timing, func(t *testing.T) {
			onlyLong(t, timing == "epochs")
			c := eventConfig(t, t.TempDir())
			c.Schedule.Timing, c.Schedule.WhatIf, c.Train.LogGradients, c.Train.SaveEvery = timing, 8, true, 0
			if _, err := Run(context.Background(), c, quiet(1)); err != nil {
				t.Fatal(err)
			}
			want := contents(t, c.Out)
			steps := map[int]bool{}
			for _, e := range events(t, c.Out) {
				steps[e.Step] = true
			}
			if timing == "steps" && (!steps[2] || !steps[3]) {
				t.Errorf("events after steps %v; want 2 (12 / 8, rounded) and 3 (12 / 4, and 2 * 12 / 8)", steps)
			}
			c.Out += "-interrupted"
			err := ErrInterrupted
			for errors.Is(err, ErrInterrupted) {
				ctx, cancel := context.WithCancel(context.Background())
				o := quiet(1)
				o.Began = cancel
				_, err = Run(ctx, c, o)
			}
			if err != nil {
				t.Fatal(err)
			}
			got := contents(t, c.Out)
			for name := range want {
				if strings.HasPrefix(name, checkpointPrefix) {
					continue // an interrupted run has a checkpoint for every step
				}
				if g, w := got[name], want[name]; g != w && name != bestLink {
					t.Errorf("%s differs", name)
				}
			}
			for _, file := range []string{"adapter_model.safetensors", optimizerFile, "lor2c.json", stateFile} {
				name := filepath.Join(checkpointPrefix+"12", file)
				if got[name] != want[name] || want[name] == "" {
					t.Errorf("%s differs", name)
				}
			}
		})
	}
}

// TestScheduleOptions runs with each option that determines how an event is
// carried out.
func TestScheduleOptions(t *testing.T) {
	onlyLong(t, true)
	run := func(t *testing.T, set func(*config.Config)) (dir string, merged, injected int) {
		c := eventConfig(t, t.TempDir())
		c.Schedule.MaxMerges = 1
		set(c)
		if _, err := Run(context.Background(), c, quiet(2)); err != nil {
			t.Fatal(err)
		}
		all := events(t, c.Out)
		if len(all) != 2 {
			t.Fatalf("%d events; want 2", len(all))
		}
		return c.Out, all[0].First, all[1].First
	}
	// has reports whether a saved tensor belongs to the module or the layer.
	has := func(name string, layer int, part string) bool {
		return strings.Contains(name, fmt.Sprintf("layer.%d.", layer)) && strings.Contains(name, part)
	}
	t.Run("changed=freeze", func(t *testing.T) {
		dir, merged, injected := run(t, func(c *config.Config) { c.Schedule.Changed = "freeze" })
		at, final := tensors(t, dir, checkpointPrefix+"3", "adapter_model.safetensors"), tensors(t, dir, finalDir,
			"adapter_model.safetensors")
		frozen := 0
		for name, v := range final {
			if !strings.Contains(name, "lora_") && !strings.Contains(name, "lor2c") {
				continue
			}
			changed := has(name, merged, "lor2c") || has(name, injected, "lora_") && !strings.Contains(name, "lor2c")
			if changed {
				frozen++
			}
			if slices.Equal(v, at[name]) != changed {
				t.Errorf("%s: stands still %v; want %v", name, !changed, changed)
			}
		}
		if frozen != 6 {
			t.Errorf("%d tensors were merged or injected; want A and B of one module and of two projections", frozen)
		}
	})
	for _, moments := range []string{"keep", "reset"} {
		t.Run("moments="+moments, func(t *testing.T) {
			dir, merged, _ := run(t, func(c *config.Config) { c.Schedule.Moments = moments })
			seen := 0
			for name, v := range tensors(t, dir, checkpointPrefix+"3", optimizerFile) {
				if !has(name, merged, "lor2c") {
					continue
				}
				seen++
				zero := !slices.ContainsFunc(v, func(x float32) bool { return x != 0 })
				if zero != (moments == "reset") {
					t.Errorf("%s after the merge: zero everywhere is %v", name, zero)
				}
			}
			if seen != 4 {
				t.Errorf("%d moments; want two each of A and B", seen)
			}
		})
	}
	for _, evaluate := range []string{"after", "before"} {
		t.Run("evaluate="+evaluate, func(t *testing.T) {
			dir, _, _ := run(t, func(c *config.Config) { c.Schedule.Evaluate = evaluate })
			records, err := runlog.ReadMetrics(dir)
			if err != nil {
				t.Fatal(err)
			}
			event := slices.IndexFunc(records, func(r runlog.Record) bool { _, ok := r.(schedule.Event); return ok })
			eval := slices.IndexFunc(records, func(r runlog.Record) bool { _, ok := r.(runlog.Eval); return ok })
			if (eval < event) != (evaluate == "before") {
				t.Errorf("the first event is record %d, the first evaluation %d", event, eval)
			}
		})
	}
}

// TestGradientRecord compares the logged means with sums over downloaded
// gradients.
func TestGradientRecord(t *testing.T) {
	for _, method := range []string{"lor2c", "lora"} {
		t.Run("method="+method, func(t *testing.T) {
			dev := cpu.Open[float32](2)
			c := demoConfig(t, t.TempDir(), 16)
			c.Method = adapter.NewConfig(method)
			s, err := OpenSession(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			m, attached, err := s.attach(dev, adapter.Settings{Config: c.Method, Seed: s.Config.Seed})
			if err != nil {
				t.Fatal(err)
			}
			st := NewStepper(dev, m, attached, c.Optim, 1, s.objective(dev, m, nil), 1)
			d, err := s.load(t.Context(), "train", true)
			if err != nil {
				t.Fatal(err)
			}
			const steps = 3
			sums := newGradientSums(st)
			want := map[string]*runlog.MeanAbsolute{}
			for step := 1; step <= steps; step++ {
				if err := st.Step(step, d.micro([]int32{0, 1, 2, int32(step)}, config.Train{MicroBatchSize: 4}), 1); err != nil {
					t.Fatal(err)
				}
				sums.add()
				for _, p := range attached.Params() {
					layer, factor := p.Layer, p.Factor
					key := fmt.Sprint(layer, factor)
					if want[key] == nil {
						want[key] = &runlog.MeanAbsolute{}
					}
					for _, x := range download(dev, p.Grad) {
						want[key].Abs += math.Abs(float64(x))
						want[key].Count++
					}
				}
			}
			rec, err := sums.record()
			if err != nil {
				t.Fatal(err)
			}
			if rec.Steps != steps || len(rec.Layers) != 4 {
				t.Errorf("%d steps and %d layers; want %d and 4", rec.Steps, len(rec.Layers), steps)
			}
			for i, l := range rec.Layers {
				for factor, got := range map[string]runlog.MeanAbsolute{"A": l.A, "B": l.B} {
					w := want[fmt.Sprint(i, factor)]
					if mean := w.Abs / float64(w.Count); l.Layer != i || got.Count*steps != w.Count ||
						math.Abs(got.Abs-mean) > 1e-6*mean {
						t.Errorf("layer %d %s: %+v; want mean %v of %d", i, factor, got, mean, w.Count/steps)
					}
				}
			}
			if again, err := sums.read(); err != nil || slices.ContainsFunc(again, func(x float32) bool { return x != 0 }) {
				t.Errorf("after a record the sums are %v, %v", again, err)
			}
			dev.Close()
		})
	}
}

// TestBadSchedule: a schedule that cannot be carried out is an error before
// anything is written.
func TestBadSchedule(t *testing.T) {
	for want, set := range map[string]func(*config.Config){
		"schedule.max_merges: is 4; want at most 3, because a model of 4 layers": func(c *config.Config) {
			c.Schedule.MaxMerges = 4
		},
		"schedule.sfs_k: is 8 with method.rank 8": func(c *config.Config) {
			c.Schedule.SFSK = 8
		},
		"schedule.max_injects: is 2; only 1 fit into 0.5 of 2 epochs (schedule.until) with an interval of 1 " +
			"(eq. 11)": func(c *config.Config) {
			c.Train.Epochs, c.Schedule.MaxInjects, c.Schedule.MaxMerges = 2, 2, 0
		},
		"adapter: inject lora: rank 3 on [query value] has 1536 parameters per layer, but the module that it replaces " +
			"has 1792": func(c *config.Config) { c.Method = c.Method.With(adapter.Values{"rank": 7, "inject_rank": 0}) },
		`adapter: inject lora: target module "up" is not a linear layer`: func(c *config.Config) {
			c.Method = c.Method.With(adapter.Values{"target_modules": []string{"query", "up"}})
		},
	} {
		t.Run("fault="+want, func(t *testing.T) {
			c := eventConfig(t, t.TempDir())
			set(c)
			c.Resolve()
			var out strings.Builder
			o := quiet(1)
			o.Stdout, o.Stderr = io.Discard, &out
			_, err := Run(context.Background(), c, o)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error is %v; want one with %q", err, want)
			}
			if exists(c.Out) {
				t.Errorf("%v were written", tree(t, c.Out))
			}
		})
	}
}
