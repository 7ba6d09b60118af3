package runlog

import (
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var outcome = Results{Epoch: 3, TrainLoss: 0.3, TrainSamples: 464, Evals: []Eval{
	{Split: "dev", Loss: 0.5, Scores: map[string]float64{"accuracy": 0.88, "f1": math.NaN()}},
	{Split: "dev_mismatched", Loss: 0.75, Scores: map[string]float64{"accuracy": 0.5}}}}

func TestFinish(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir, quiet())
	steps(r, 1, 4)
	if err := r.Finish(outcome); err != nil {
		t.Fatal(err)
	}
	eval := `  "epoch": 3,
  "eval_accuracy": 0.88,
  "eval_dev_mismatched_accuracy": 0.5,
  "eval_dev_mismatched_loss": 0.75,
  "eval_f1": null,
  "eval_loss": 0.5`
	want := map[string]string{
		"eval_results.json": "{\n" + eval + "\n}\n",
		"all_results.json":  "{\n" + eval + ",\n  \"train_loss\": 0.3,\n  \"train_samples\": 464\n}\n",
	}
	for name, text := range want {
		if d := cmp.Diff(text, read(t, dir, name)); d != "" {
			t.Errorf("%s: -want +got\n%s", name, d)
		}
	}
	var timing map[string]float64
	if err := json.Unmarshal([]byte(read(t, dir, "timing.json")), &timing); err != nil {
		t.Fatal(err)
	}
	// The run had 4 steps, 32 examples and 400 tokens in the same time.
	s := timing["train_runtime"]
	if s <= 0 || timing["train_steps_per_second"] != 4/s || timing["train_samples_per_second"] != 32/s ||
		timing["train_tokens_per_second"] != 400/s || timing["first_step"] != 0 {
		t.Errorf("timing.json is %v", timing)
	}
	entries, _ := os.ReadDir(dir)
	if slices.ContainsFunc(entries, func(e os.DirEntry) bool { return strings.Contains(e.Name(), ".lor2c-") }) {
		t.Errorf("temporary files are left: %v", entries)
	}

	os.RemoveAll(dir)
	if err := r.Finish(outcome); err == nil ||
		!strings.HasPrefix(err.Error(), "runlog: write results: checkpoint: write "+dir) {
		t.Errorf("without a directory: %v", err)
	}
}

// TestResultsOfLongerRun: opening a run with steps left removes its results,
// and opening a finished run keeps them.
func TestResultsOfLongerRun(t *testing.T) {
	dir := t.TempDir()
	o := quiet()
	o.Steps = 4
	r := open(t, dir, o)
	steps(r, 1, 4)
	if err := errors.Join(r.Finish(outcome), r.Close()); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{4, 6} {
		o.Resume, o.Step, o.Steps = true, 4, n
		if err := open(t, dir, o).Close(); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"all_results.json", "eval_results.json", "timing.json"} {
			if _, err := os.Stat(filepath.Join(dir, name)); errors.Is(err, fs.ErrNotExist) != (n > 4) {
				t.Errorf("a run of %d steps, opened at step 4: %s: %v", n, name, err)
			}
		}
	}
}

// TestTrainerState: the golden file was read back with
// transformers.TrainerState.load_from_json.
func TestTrainerState(t *testing.T) {
	s := State{GlobalStep: 4, Epoch: 2, MaxSteps: 10, Epochs: 5, Metric: "accuracy"}
	if got := string(TrainerState(s)); !strings.Contains(got, `"best_metric": null`) ||
		!strings.Contains(got, `"log_history": []`) {
		t.Errorf("before the first record: %s", got)
	}
	dir := t.TempDir()
	r := open(t, dir, quiet())
	steps(r, 1, 4)
	var err error
	if s.Records, err = ReadMetrics(dir); err != nil {
		t.Fatal(err)
	}
	s.BestCheckpoint = "checkpoint-4"
	if d := cmp.Diff(read(t, "testdata", "trainer_state.json"), string(TrainerState(s))); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	s.Metric = "loss"
	if got := string(TrainerState(s)); !strings.Contains(got, `"best_metric": 2,`) {
		t.Errorf("by loss: %s", got)
	}
}

func TestWriteEnv(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"env.json", "env-4.json"} {
		o := quiet()
		o.Resume, o.Step = name != "env.json", 4
		r := open(t, dir, o)
		given := Env{Device: "cpu", BLAS: "netlib", DataSHA256: map[string]string{"train.tsv": "00ff"}}
		if err := r.WriteEnv(given); err != nil {
			t.Fatal(err)
		}
		r.Close()
		var e Env
		if err := json.Unmarshal([]byte(read(t, dir, name)), &e); err != nil {
			t.Fatal(err)
		}
		if e.GoVersion != runtime.Version() || !strings.HasSuffix(e.Module, "/lor2c") || e.Cores < 1 || e.GOMAXPROCS < 1 ||
			e.OS != runtime.GOOS ||
			e.Start != "2026-01-02T03:04:06.000Z" || !slices.Equal(e.Args, os.Args) {
			t.Errorf("%s is %+v", name, e)
		}
		if b, err := os.ReadFile("/proc/cpuinfo"); err == nil &&
			(e.CPU == "" && strings.Contains(string(b), "model name") || !strings.Contains(string(b), e.CPU)) {
			t.Errorf("CPU is %q", e.CPU)
		}
		e = Env{Device: e.Device, BLAS: e.BLAS, DataSHA256: e.DataSHA256}
		if d := cmp.Diff(given, e); d != "" {
			t.Errorf("-given +read\n%s", d)
		}
	}
	os.RemoveAll(dir)
	r := &Run{dir: filepath.Join(dir, "gone"), clock: newClock(ticking(), 0)}
	if err := r.WriteEnv(Env{}); err == nil ||
		!strings.HasPrefix(err.Error(), "runlog: write environment: checkpoint: write ") {
		t.Errorf("without a directory: %v", err)
	}
}
