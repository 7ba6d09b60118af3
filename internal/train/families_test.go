package train

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/dataset"
	"github.com/lor2c/lor2c/internal/place"
)

// eachMethod runs a test of every registered method on an encoder and on a decoder, with a run of three steps that is
// evaluated and saved after each of them.
func eachMethod(t *testing.T, f func(t *testing.T, c *config.Config)) {
	for family, configure := range map[string]func(t testing.TB, dir, method string) *config.Config{
		"decoder": instructConfig,
		"encoder": func(t testing.TB, dir, method string) *config.Config {
			c := demoConfig(t, dir, 24)
			if c.Method.Name() != method {
				c.Method = adapter.NewConfig(method)
			}
			c.Train.MicroBatchSize = 4
			c.Resolve()
			return c
		},
	} {
		for _, method := range adapter.Names() {
			if family == "decoder" && trainsNothing(method) {
				continue
			}
			t.Run("model="+family+"/method="+method, func(t *testing.T) {
				c := configure(t, t.TempDir(), method)
				c.Train.Epochs, c.Train.EvalEvery, c.Train.SaveEvery, c.Train.LogEvery = 1, 1, 0, 1
				c.Train.KeepCheckpoints = 1
				f(t, c)
			})
		}
	}
}

// trainsNothing reports whether a method trains nothing of the demo's decoder, which has neither a head nor a bias.
func trainsNothing(method string) bool { return method == "head" || method == "bitfit" }

// TestTrainsNothing: a method that has nothing to train on a model is refused before anything is loaded.
func TestTrainsNothing(t *testing.T) {
	for _, method := range adapter.Names() {
		if !trainsNothing(method) {
			continue
		}
		c := instructConfig(t, t.TempDir(), method)
		_, err := Run(t.Context(), c, quiet(1))
		if err == nil || !place.IsMistake(err) || !strings.Contains(err.Error(), "train: attach "+method+
			": it trains nothing of this model") {
			t.Errorf("%s: error %v", method, err)
		}
		if exists(filepath.Join(c.Out, "all_results.json")) {
			t.Errorf("%s: there are results", method)
		}
	}
}

// watchedDevice is a device that calls a function in the middle of an optimizer step.
type watchedDevice struct {
	compute.Device
	steps int // until then
	call  func()
}

func (d *watchedDevice) GradNorm(state, grad, loss compute.Tensor, limit float32) {
	if d.steps--; d.steps == 0 {
		d.call()
	}
	d.Device.GradNorm(state, grad, loss, limit)
}

// TestKillEveryMethod resumes a run of which only the files are left that a kill in the middle of its last step leaves,
// when there is a checkpoint of the step before. The files must be those of an uninterrupted run, so that a checkpoint
// holds all that a method needs. A kill loses what a process has in its memory, so the files of the run are copied at
// that moment; TestKill kills processes. The best adapter of the uninterrupted run has the scores that the run logged.
func TestKillEveryMethod(t *testing.T) {
	onlyLong(t, true)
	eachMethod(t, func(t *testing.T, c *config.Config) {
		const last = 3
		whole, killed := c.Out, filepath.Join(filepath.Dir(c.Out), "killed")
		copied := errors.New("the run has no third step")
		o := quiet(1)
		o.Device = &watchedDevice{o.Device, last, func() { copied = os.CopyFS(killed, os.DirFS(whole)) }}
		got, err := Run(context.Background(), c, o)
		if err != nil || copied != nil {
			t.Fatal(err, copied)
		}
		if c.Data.Task != dataset.Instruct {
			checkReload(t, c, "best", got)
		}
		want := contents(t, whole)
		c.Out = killed
		if got := checkpoints(t, c); len(got) == 0 || got[len(got)-1] != last-1 || exists(filepath.Join(c.Out,
			"all_results.json")) {
			t.Fatalf("there are checkpoints of the steps %v; want %d as the last of an unfinished run", got, last-1)
		}
		if _, err := Run(context.Background(), c, quiet(2)); err != nil {
			t.Fatal(err)
		}
		sameFiles(t, contents(t, c.Out), want)
	})
}
