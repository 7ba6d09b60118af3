package train

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/runlog"
	"github.com/lor2c/lor2c/internal/schedule"
)

// TestReplay: steps of a run that merges and injects, computed from a checkpoint, from the beginning, after the events
// and in the last record, have the recorded losses bit by bit, and the run directory stays as it was.
func TestReplay(t *testing.T) {
	c := demoConfig(t, t.TempDir(), 40)
	c.Schedule.MaxMerges, c.Schedule.MaxInjects, c.Schedule.Timing, c.Schedule.Until = 1, 1, schedule.TimingSteps, 1
	c.Train.Epochs, c.Train.LogEvery, c.Train.SaveEvery, c.Train.KeepCheckpoints = 4, 3, 4, 20
	c.Resolve()
	if _, err := Run(t.Context(), c, quiet(2)); err != nil {
		t.Fatal(err)
	}
	records, err := runlog.ReadMetrics(c.Out)
	if err != nil {
		t.Fatal(err)
	}
	norms := map[int]float64{}
	for _, rec := range records {
		if r, ok := rec.(runlog.Train); ok {
			norms[r.Step] = r.GradNorm
		}
	}
	before := contents(t, c.Out)
	for _, want := range []struct{ step, from, first, last int }{
		{1, 0, 1, 3}, {8, 5, 7, 9}, {12, 10, 10, 12}, {20, 16, 19, 20},
	} {
		steps := 0
		watch := func(done, total int) { steps = total - done }
		p, err := Replay(t.Context(), c, c.Out, want.step, cpu.Open[float32](2), watch)
		if err != nil {
			t.Fatal(err)
		}
		if p.Check == nil || !p.Check.Equal || p.Check.First != want.first || p.Check.Last != want.last {
			t.Errorf("step %d: %+v; want the loss of steps %d to %d", want.step, p.Check, want.first, want.last)
		}
		if p.FromStep != want.from || steps != 0 || p.NonFinite != nil {
			t.Errorf("step %d: from step %d with %d steps left, %q; want from step %d", want.step, p.FromStep, steps,
				p.NonFinite, want.from)
		}
		if len(p.Examples) != 8 || !strings.HasPrefix(p.Examples[0].Text, "<s>") || p.Examples[0].Where != p.Where[0] {
			t.Errorf("step %d: the batch is %+v", want.step, p.Examples)
		}
		// The norm of the step that ends the window is in the log, as the device added it up in float32.
		if norm := norms[want.step]; norm > 0 && math.Abs(float64(p.GradNorm)-norm) > 1e-5*norm {
			t.Errorf("step %d: gradient norm %v; %v is recorded", want.step, p.GradNorm, norm)
		}
		checkNorms(t, p)
	}
	after := contents(t, c.Out)
	if len(after) != len(before) {
		t.Errorf("the run directory has %d files; it had %d", len(after), len(before))
	}
	for name, text := range before {
		if after[name] != text {
			t.Errorf("%s has changed", name)
		}
	}
}

// checkNorms: there is a line for each of the four layers of the demo's model and one for the rest, and the norms of
// the gradients add up to that of the step.
func checkNorms(t *testing.T, p *Replayed) {
	t.Helper()
	sum := 0.0
	for i, l := range p.Layers {
		sum += float64(l.Gradient) * float64(l.Gradient)
		if want := []string{"0", "1", "2", "3", "other"}[i]; l.Layer != want || !(l.Output > 0) || l.Largest < l.Output {
			t.Errorf("step %d, line %d: %+v; want layer %s", p.Step, i, l, want)
		}
	}
	if norm := float64(p.GradNorm); len(p.Layers) != 5 || math.Abs(math.Sqrt(sum)-norm) > 1e-9*norm {
		t.Errorf("step %d: %d lines with the norm %v; want %v", p.Step, len(p.Layers), math.Sqrt(sum), norm)
	}
}

// TestReplayNonFinite: the first tensor of a step that is not finite is named, as the run itself names it.
func TestReplayNonFinite(t *testing.T) {
	c := demoConfig(t, t.TempDir(), 24)
	c.Optim.LR, c.Train.LogEvery, c.Optim.WarmupRatio = 1e30, 1, 0
	_, err := Run(t.Context(), c, quiet(2))
	var failed *NonFiniteError
	if !errors.As(err, &failed) {
		t.Fatalf("the run ended with %v", err)
	}
	p, err := Replay(t.Context(), c, c.Out, failed.Step, cpu.Open[float32](2), nil)
	if err != nil || p.NonFinite == nil || p.NonFinite.Error() != failed.Error() || p.Check != nil {
		t.Errorf("%+v, %v; want %v", p, err, failed)
	}
}

// TestReplayMistakes: steps that the run does not have, other data, and an interruption end with an error.
func TestReplayMistakes(t *testing.T) {
	dir := t.TempDir()
	c := demoConfig(t, dir, 24)
	if _, err := Run(t.Context(), c, quiet(2)); err != nil {
		t.Fatal(err)
	}
	fails := func(ctx context.Context, step int, want string) {
		t.Helper()
		_, err := Replay(ctx, c, c.Out, step, cpu.Open[float32](1), nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("step %d: %v; want %q", step, err, want)
		}
	}
	fails(t.Context(), 7, "there is no step 7; want 1 to 6")
	// The loop looks at its context after each step, and the data is loaded before.
	ended, cancel := context.WithCancel(t.Context())
	watched := func(int, int) { cancel() }
	if _, err := Replay(ended, c, c.Out, 6, cpu.Open[float32](1), watched); !errors.Is(err, ErrInterrupted) {
		t.Errorf("interrupted: %v", err)
	}
	other := []byte("text\tlabel\na dog\tanimal\nbread\tfood\n")
	if err := os.WriteFile(filepath.Join(dir, "train.tsv"), other, 0o644); err != nil {
		t.Fatal(err)
	}
	fails(t.Context(), 1, "data train: 24 examples")
	if !checkpoint.IsDir(filepath.Join(c.Out, finalDir)) {
		t.Error("the run has lost its adapter")
	}
}
