package train

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/optim"
	"github.com/lor2c/lor2c/internal/runlog"
)

// evaluations runs c and returns its evaluations, and the lines that it logged.
func evaluations(t *testing.T, c *config.Config) (evals []runlog.Eval, log string) {
	t.Helper()
	o := quiet(1)
	var text strings.Builder
	o.Stderr = &text
	if _, err := Run(context.Background(), c, o); err != nil {
		t.Fatal(err)
	}
	records, err := runlog.ReadMetrics(c.Out)
	if err != nil {
		t.Fatal(err)
	}
	for _, rec := range records {
		if e, ok := rec.(runlog.Eval); ok {
			evals = append(evals, e)
		}
	}
	return evals, text.String()
}

func steps(evals []runlog.Eval) (steps []int) {
	for _, e := range evals {
		steps = append(steps, e.Step)
	}
	return steps
}

// checkpoints returns the steps that have a checkpoint.
func checkpoints(t *testing.T, c *config.Config) (steps []int) {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(c.Out, checkpointPrefix+"*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs {
		step, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(d), checkpointPrefix))
		if err != nil {
			t.Fatal(err)
		}
		steps = append(steps, step)
	}
	slices.Sort(steps)
	return steps
}

// results returns the content of all_results.json.
func results(t *testing.T, c *config.Config) (r map[string]float64) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(c.Out, "all_results.json"))
	if err == nil {
		err = json.Unmarshal(raw, &r)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestMaxSteps: train.max_steps can end a run inside an epoch and extend it
// beyond train.epochs. The last step is evaluated, and the learning rate
// reaches its end there.
func TestMaxSteps(t *testing.T) {
	for max, want := range map[int][]int{3: {3}, 7: {5, 7}, 10: {5, 10}, 13: {5, 10, 13}} {
		t.Run("max_steps="+strconv.Itoa(max), func(t *testing.T) {
			c := demoConfig(t, t.TempDir(), 40) // 5 steps per epoch, 2 epochs
			c.Train.MaxSteps, c.Train.SaveEvery, c.Train.LogEvery, c.Optim.WarmupSteps = max, 0, 1, 2
			evals, log := evaluations(t, c)
			if got := steps(evals); !slices.Equal(got, want) {
				t.Errorf("evaluated after steps %v; want %v", got, want)
			}
			if got, want := results(t, c)["epoch"], float64(max)/5; !(math.Abs(got-want) < 1e-12) {
				t.Errorf("all_results.json says epoch %v; want %v", got, want)
			}
			records, err := runlog.ReadMetrics(c.Out)
			if err != nil {
				t.Fatal(err)
			}
			for _, rec := range records {
				r, ok := rec.(runlog.Train)
				if !ok {
					continue
				}
				want := float64(max-r.Step+1) / float64(max-2)
				if r.Step <= 2 {
					want = float64(r.Step) / 2
				}
				if !(math.Abs(r.LearningRate-c.Optim.LR*want) < 1e-15) {
					t.Errorf("step %d has learning rate %v; want %v of %v", r.Step, r.LearningRate, want, c.Optim.LR)
				}
			}
			if !strings.Contains(log, "raise train.max_steps to 150") {
				t.Errorf("no warning about few steps in\n%s", log)
			}
		})
	}
}

// TestShortness: which runs get a warning that they are short.
func TestShortness(t *testing.T) {
	for _, c := range []struct {
		train config.Train
		optim optim.Config
		want  []string
	}{
		{config.Train{Epochs: 3}, optim.Config{WarmupRatio: 0.06},
			[]string{"warning: the run has 30 optimizer steps, and small data seldom " +
				"learns much in fewer than about 150; raise train.epochs to 15, or lower train.batch_size"}},
		{config.Train{MaxSteps: 1}, optim.Config{WarmupSteps: 1},
			[]string{"warning: the run has 1 optimizer step, and small data seldom " +
				"learns much in fewer than about 150; raise train.max_steps to 150"}},
		{config.Train{Epochs: 15}, optim.Config{WarmupRatio: 0.06}, nil},
		{config.Train{Epochs: 15}, optim.Config{WarmupSteps: 150},
			[]string{"warning: the learning rate rises for 150 steps and the run has 150; " +
				"lower optim.warmup_steps or optim.warmup_ratio"}},
	} {
		c.train.BatchSize = 1
		r := newTimetable(&config.Config{Train: c.train, Optim: c.optim}, 10)
		if got := r.shortness(); !slices.Equal(got, c.want) {
			t.Errorf("%d steps: %q; want %q", r.steps, got, c.want)
		}
	}
}

// TestEvalEvery: evaluations are train.eval_every steps apart, and each has a
// checkpoint, to which best may lead.
func TestEvalEvery(t *testing.T) {
	c := demoConfig(t, t.TempDir(), 40)
	c.Train.EvalEvery, c.Train.SaveEvery, c.Train.KeepCheckpoints = 4, 0, 10
	evals, _ := evaluations(t, c)
	want := []int{4, 8, 10}
	if got := steps(evals); !slices.Equal(got, want) {
		t.Errorf("evaluated after steps %v; want %v", got, want)
	}
	if got := checkpoints(t, c); !slices.Equal(got, want) {
		t.Errorf("checkpoints of steps %v; want %v", got, want)
	}
	if e := evals[0]; e.Epoch != 0.8 {
		t.Errorf("step 4 of 5 is epoch %v; want 0.8", e.Epoch)
	}
	best := ""
	for _, e := range evals {
		if e.Best {
			best = checkpointPrefix + strconv.Itoa(e.Step)
		}
	}
	if to, err := os.Readlink(filepath.Join(c.Out, bestLink)); to != best {
		t.Errorf("best points to %q, %v; want %q", to, err, best)
	}
}

// TestEarlyStopping: a run whose scores improve by less than min_delta ends
// after train.early_stopping evaluations and is then finished: if it is started
// again, it takes no step.
func TestEarlyStopping(t *testing.T) {
	c := demoConfig(t, t.TempDir(), 40)
	c.Train.Epochs, c.Train.EarlyStopping, c.Train.MinDelta, c.Train.SaveEvery = 20, 2, 1, 0
	c.Train.EvalEvery = 2
	evals, log := evaluations(t, c)
	if got := steps(evals); !slices.Equal(got, []int{2, 4, 6}) {
		t.Errorf("evaluated after steps %v; want 2, the first, and two that gained less than 1", got)
	}
	if !strings.Contains(log, "stopping early: accuracy did not improve in the last 2 evaluations "+
		"(train.early_stopping); 6 of 100 steps are done") {
		t.Errorf("the log does not have the reason for the end of the run:\n%s", log)
	}
	r := results(t, c)
	if r["epoch"] != 1.2 || !(r["train_loss"] > 1 && r["train_loss"] < 4) {
		t.Errorf("all_results.json has epoch %v and train_loss %v; want 1.2 and the mean of 6 steps", r["epoch"],
			r["train_loss"])
	}
	before := contents(t, c.Out)
	if _, err := Run(context.Background(), c, quiet(1)); err != nil {
		t.Fatal(err)
	}
	sameFiles(t, contents(t, c.Out), before)
}

// TestWaiting compares with improvements determined by hand.
func TestWaiting(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		name   string
		delta  float64
		scores []float64
		want   []int // number of evaluations without a better score
	}{
		{"rising", 0, []float64{0.1, 0.2, 0.3}, []int{0, 0, 0}},
		{"equal", 0, []float64{0.5, 0.5, 0.4, 0.6}, []int{0, 1, 2, 0}},
		{"small steps add up", 0.15, []float64{0.1, 0.2, 0.3}, []int{0, 1, 0}},
		{"undefined", 0, []float64{nan, nan, 0.1, nan, 0.2}, []int{1, 2, 0, 1, 0}},
		{"negative", 0, []float64{-0.2, -0.1, -0.3}, []int{0, 0, 1}},
	} {
		t.Run("scores="+c.name, func(t *testing.T) {
			var w waiting
			for i, score := range c.scores {
				w.add(score, c.delta)
				if w.Evaluations != c.want[i] {
					t.Errorf("after %v: %d evaluations; want %d", c.scores[:i+1], w.Evaluations, c.want[i])
				}
				if got, want := w.over(config.Train{EarlyStopping: 2}), c.want[i] >= 2; got != want {
					t.Errorf("after %v: over is %t; want %t", c.scores[:i+1], got, want)
				}
				if w.over(config.Train{}) {
					t.Error("a run without early stopping was stopped early")
				}
			}
		})
	}
}

// TestKillExtent kills a run that sets every key which determines its
// evaluations, its end and its loss.
func TestKillExtent(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills processes, which -short leaves out")
	}
	c := demoConfig(t, t.TempDir(), 72)
	c.Train.MaxSteps, c.Train.EvalEvery, c.Train.EarlyStopping, c.Train.MinDelta = 40, 3, 3, 0.2
	c.Train.ClassWeights, c.Train.LabelSmoothing = []config.Weight{"1", "2", "1", "0.5", "1", "1", "3", "1", "1", "1"}, 0.1
	c.Optim.Schedule, c.Optim.WarmupSteps = optim.Cosine, 5
	testKill(t, c, killCount(t))
	if got := results(t, c)["epoch"]; !(got < 40.0/9) {
		t.Errorf("the run went on to epoch %v; want it to stop early, so that this is tried too", got)
	}
}
