package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/checkpoint"
)

// TestEvalTask asks a benchmark as a user would: as text, as JSON, and compared with another evaluation.
func TestEvalTask(t *testing.T) {
	dir := t.TempDir()
	first, second := filepath.Join(dir, "first"), filepath.Join(dir, "second")
	args := []string{
		"eval", "--task", "mmlu", "--model", "demo/decoder", "--data", "demo/benchmarks", "--own-data", "--device", "cpu",
	}
	r := run(t, append(args, "--out", first)...)
	if r.code != 0 || !strings.HasPrefix(r.stdout, "mmlu@instruct-eval/49bbd2c,data=own,decode=greedy\nacc ") ||
		!strings.Contains(r.stdout, "mmlu_animals") || !strings.Contains(r.stdout, "results_mmlu_instruct-eval.json") {
		t.Errorf("%+v", r)
	}
	// Another process is at the same evaluation.
	lock, err := os.OpenFile(filepath.Join(first, ".lock_mmlu_instruct-eval"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := checkpoint.Lock(lock); err != nil {
		t.Fatal(err)
	}
	r = run(t, append(args, "--out", first)...)
	lock.Close()
	if r.code != exitUsage || !strings.Contains(r.stderr, first+": another process is evaluating mmlu there") {
		t.Errorf("a second process: %+v", r)
	}
	var out struct {
		Title   string
		Value   float64
		N       int
		Against struct{ Difference *float64 }
	}
	r = run(t, append(args, "--out", second, "--against", first, "--json")...)
	if err := json.Unmarshal([]byte(r.stdout), &out); err != nil || out.N != 8 || out.Against.Difference == nil ||
		*out.Against.Difference != 0 {
		t.Errorf("%+v, %+v, %v", r, out, err)
	}
}

// TestEvalTaskFaults: flags that do not go together end with code 2 before anything is read.
func TestEvalTaskFaults(t *testing.T) {
	for args, want := range map[string]string{
		"--task mmul --model demo/decoder --data x":       `--task is "mmul"; want one of mmlu, bbh, drop, humaneval`,
		"--task mmlu --model demo/decoder":                "--task needs the benchmark's files",
		"--task mmlu --data x":                            "name a run with --run DIR, a model with --model DIR",
		"--task mmlu --run x --model y --data z":          "--run names model and adapter; leave out",
		"--task mmlu --model x --data y --split test":     "--split is set; it goes with the splits of a run's data",
		"--run x --protocol lm-eval":                      "--protocol is set; it goes with --task",
		"--task humaneval --model demo/decoder --data x":  "--allow-code-execution permits that",
		"--task mmlu --model x --data x --sandbox docker": `--sandbox is "docker"; want kernel or container`,
		"--task mmlu --model demo/decoder --data demo":    "it has no mmlu files; want the folder of the released data",
		"--task bbh --model x --data y --precision int4":  `--precision is "int4"; want float32 or bfloat16`,
	} {
		r := run(t, append([]string{"eval"}, strings.Fields(args)...)...)
		if r.code != exitUsage || !strings.Contains(r.stderr, want) {
			t.Errorf("eval %s: code %d, %s\nwant %s", args, r.code, r.stderr, want)
		}
	}
}

// TestTemplateNote: an adapter that was trained with another form of prompts than those of a task is named with it.
func TestTemplateNote(t *testing.T) {
	for _, c := range []struct{ template, task, want string }{
		{"", "mmlu", ""}, {"none", "mmlu", ""},
		{"alpaca", "mmlu", "note: the adapter was trained with the template alpaca, which the prompts of mmlu do not have"},
		{"chat", "perplexity", "note: the adapter was trained with the template chat, which the text does not have"},
	} {
		if got := templateNote(c.template, c.task); got != c.want {
			t.Errorf("%q, %s: %q; want %q", c.template, c.task, got, c.want)
		}
	}
}
