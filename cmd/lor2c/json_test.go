package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/config"
)

// records returns the JSON lines that a command printed.
func records(t *testing.T, stdout string) (all []map[string]any) {
	t.Helper()
	for _, line := range strings.Split(strings.TrimSpace(stdout), "\n") {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all = append(all, record)
	}
	return all
}

// TestTrainJSON: standard output begins with a description of the run and ends
// with its result, even if the run was already finished. The records between
// them are those of the log.
func TestTrainJSON(t *testing.T) {
	out := filepath.Join(t.TempDir(), "run")
	args := append(short(t, out), "--json")
	first, again := run(t, args...), run(t, args...)
	if first.code != 0 || again.code != 0 {
		t.Fatal(first, again)
	}
	all := records(t, first.stdout)
	start, result := all[0], all[len(all)-1]
	for key, want := range map[string]any{
		"kind": "start", "step": 0.0, "steps": 8.0, "epochs": 1.0, "out": out, "task": "custom", "metric": "accuracy",
		"train_examples": 64.0, "dev_examples": 64.0, "device": start["device"], "resumed_from": nil,
	} {
		if start[key] != want {
			t.Errorf("start: %s is %v; want %v", key, start[key], want)
		}
	}
	if labels, ok := start["labels"].([]any); !ok || len(labels) < 2 ||
		!slices.IsSortedFunc(labels, func(a, b any) int { return strings.Compare(a.(string), b.(string)) }) {
		t.Errorf("start: labels are %v", start["labels"])
	}
	best := filepath.Join(out, "best")
	for key, want := range map[string]any{
		"kind": "result", "step": 8.0, "out": out, "best_step": 8.0, "best_epoch": 1.0, "adapter": best,
		"final":                filepath.Join(out, "final"),
		"trainable_parameters": start["trainable_parameters"],
	} {
		if result[key] != want {
			t.Errorf("result: %s is %v; want %v", key, result[key], want)
		}
	}
	var scores struct {
		Loss   float64
		Scores map[string]float64
	}
	if r := run(t, "eval", "--run", out, "--json"); json.Unmarshal([]byte(r.stdout), &scores) != nil ||
		result["loss"] != scores.Loss ||
		result["scores"].(map[string]any)["accuracy"] != scores.Scores["accuracy"] {
		t.Errorf("result %v; eval has %+v", result, scores)
	}
	log, err := os.ReadFile(filepath.Join(out, "metrics.jsonl"))
	lines := strings.SplitAfter(first.stdout, "\n")
	if between := strings.Join(lines[1:len(lines)-2], ""); err != nil || between != string(log) {
		t.Errorf("the records between start and result are not those of metrics.jsonl: %v\n%s", err, between)
	}
	second := records(t, again.stdout)
	if len(second) != 2 || second[0]["resumed_from"] != filepath.Join(out, "checkpoint-8") || second[0]["step"] != 8.0 {
		t.Errorf("a finished run: %v", second)
	}
	if a, b := again.stdout[strings.Index(again.stdout, "\n")+1:], lines[len(lines)-2]; a != b {
		t.Errorf("the results differ:\n%s%s", a, b)
	}
}

// TestResolved: the run file in a run directory has a value for every key that
// the user left out, and continues the run.
func TestResolved(t *testing.T) {
	out := filepath.Join(t.TempDir(), "run")
	args := append(short(t, out), "--set", "data.max_length=null", "--set", "data.kind=", "--set", "data.metric=")
	if r := run(t, args...); r.code != 0 {
		t.Fatal(r)
	}
	c, err := config.Load(filepath.Join(out, "config.resolved.yaml"), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	// The demo's model has 128 positions.
	if d := c.Data; d.MaxLength != 128 || d.Kind != "classification" || d.Metric != "accuracy" ||
		c.Schedule.Timing != "epochs" || c.Method.Value("dropout") == 0.0 {
		t.Errorf("data %+v, schedule %+v, dropout %v", d, c.Schedule, c.Method.Value("dropout"))
	}
	if r := run(t, args...); r.code != 0 || !strings.Contains(r.stderr, "the run is finished: 8 of 8 steps are done") {
		t.Errorf("again: %+v", r)
	}
	if r := run(t, "train", "-c", filepath.Join(out, "config.resolved.yaml")); r.code != 0 {
		t.Errorf("from the resolved file: %+v", r)
	}
}
