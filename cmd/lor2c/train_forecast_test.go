package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lor2c/lor2c/internal/terminal"
	"github.com/lor2c/lor2c/internal/terminal/terminaltest"
	"github.com/lor2c/lor2c/internal/train"
)

// TestDryRun: --dry-run prints what the run needs, in text and as one JSON object, and creates nothing.
func TestDryRun(t *testing.T) {
	out := filepath.Join(t.TempDir(), "run")
	args := append(short(t, out), "--device", "cpu", "--dry-run")
	r := run(t, args...)
	for _, want := range []string{"data: custom, 64 train, 64 dev\n", "\nsteps: 8, 8 an epoch; ", "\n  frozen weights  ",
		"\n  activations  ", "\nlargest micro-batch: ", "\ndisk: ", "\ntime: "} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("no %q in\n%s", want, r.stdout)
		}
	}
	if r.code != 0 || r.stderr != "" {
		t.Errorf("exit code %d, stderr %q", r.code, r.stderr)
	}
	var f train.Forecast
	r = run(t, append(args, "--json", "--budget", "1h")...)
	if err := json.Unmarshal([]byte(r.stdout), &f); err != nil || f.Work.Steps != 8 || f.Time == nil ||
		f.Time.Low > f.Time.Seconds || f.Time.Seconds > f.Time.High || f.Budget == nil || !f.Budget.Within {
		t.Errorf("--json: %v, %+v", err, r)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a run directory was created")
	}
}

// TestForecastFits: the lines of a forecast fit the terminal.
func TestForecastFits(t *testing.T) {
	f := &train.Forecast{Out: "runs/x", Continues: true, Method: "lor2c", Task: "custom", Device: "cpu",
		Time: &train.TimeForecast{Seconds: 100, Low: 90, High: 130, Measured: 10, Step: 0.5, Evaluation: 3, Tokens: 900},
		Budget: &train.Choice{Seconds: 60, Steps: 30, Tried: []train.Tried{{MicroBatch: 8, Tokens: 900, Memory: 1 << 30}},
			Set: []string{"train.micro_batch_size=8", "train.epochs=2"}}}
	f.Memory.Changes = []train.Change{{Set: "train.micro_batch_size=4 with train.eval_batch_size=4", Memory: 1 << 20}}
	// A terminal breaks lines that are too wide itself, in the middle of a word.
	words := func(width int) []string {
		tty := terminaltest.New(width)
		printForecast(terminal.Open(tty, tty.Terminal(), nil), f)
		return strings.Fields(tty.String())
	}
	for _, width := range []int{40, 80} {
		if d := cmp.Diff(words(1000), words(width)); d != "" {
			t.Errorf("%d cells (-wide +narrow):\n%s", width, d)
		}
	}
}
