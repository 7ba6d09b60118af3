package main

import (
	"encoding/json"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/report"
	"github.com/lor2c/lor2c/internal/terminal"
	"github.com/lor2c/lor2c/internal/terminal/terminaltest"
)

// TestCompare compares two runs that differ in one setting, and one of them with a run on other data.
func TestCompare(t *testing.T) {
	a, b, other := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b"), filepath.Join(t.TempDir(), "c")
	args := append(short(t, a), "--device", "cpu")
	for _, r := range []result{
		run(t, args...), run(t, append(args, "--set", "optim.lr=1e-2", "--out", b)...),
		run(t, append(onRows(t, 48, other), "--device", "cpu")...),
	} {
		if r.code != 0 {
			t.Fatalf("train: %+v", r)
		}
	}
	var got struct {
		A, B struct {
			Scores     metric.Scores
			Parameters int
			Finished   bool
			Seconds    float64
		}
		Examples      int
		Scores        map[string]metric.Difference
		Configuration []report.Difference
		Divergence    []report.Divergence
	}
	r := run(t, "compare", a, filepath.Join(b, "best"), "--device", "cpu", "--json")
	if err := json.Unmarshal([]byte(r.stdout), &got); err != nil || r.code != 0 {
		t.Fatalf("%v, %+v", err, r)
	}
	for name, d := range got.Scores {
		if want := got.B.Scores[name] - got.A.Scores[name]; math.Abs(float64(d.Value)-want) > 1e-9 || d.N != 64 {
			t.Errorf("%s differs by %v of %d examples; want %v of 64", name, d.Value, d.N, want)
		}
	}
	if len(got.Scores) < 2 || got.Examples != 64 || !got.A.Finished || got.A.Parameters == 0 || got.B.Seconds <= 0 {
		t.Errorf("%+v", got)
	}
	if len(got.Configuration) != 1 || got.Configuration[0].Key != "optim.lr" || len(got.Divergence) == 0 {
		t.Errorf("settings %+v, records %+v; want one difference, optim.lr", got.Configuration, got.Divergence)
	}
	// A run is equal to itself.
	r = run(t, "compare", a, a, "--device", "cpu")
	for _, want := range []string{" +0.0000  +0.0000  +0.0000  1.0000\n", "settings: no difference\n", "logs: equal"} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("no %q in\n%s%s", want, r.stdout, r.stderr)
		}
	}
	if r = run(t, "compare", a, other, "--device", "cpu"); r.code != exitMismatch || r.stdout != "" ||
		!strings.Contains(r.stderr, "train: compare: split dev has 64 examples, SHA-256 ") {
		t.Errorf("other data: %+v", r)
	}
	if r = run(t, "compare", a, other, "--logged"); r.code != 0 || !strings.Contains(r.stdout, "data train: 64 ex") {
		t.Errorf("--logged: %+v", r)
	}
}

// TestComparisonFits: at 40 columns the table keeps the differences with their intervals, and lines break at words.
func TestComparisonFits(t *testing.T) {
	interval := &metric.Interval{Low: -0.01, High: 0.02}
	r := &compared{
		A: side{Run: "runs/lora", Method: "lora", Metric: "accuracy", Scores: metric.Scores{"accuracy": 0.7}},
		B: side{Run: "runs/lor2c", Method: "lor2c", Metric: "accuracy", Scores: metric.Scores{"accuracy": 0.71},
			Finished: true},
		Split: "dev", Examples: 400,
		Scores:        map[string]metric.Difference{"accuracy": {Value: 0.01, Interval: interval, P: 0.5}},
		Configuration: []report.Difference{{Key: "method.target_modules", First: "[query, value]", Other: "[query]"}},
	}
	shown := func(width int) string {
		tty := terminaltest.New(width)
		r.print(terminal.Open(tty, tty.Terminal(), nil))
		return tty.String()
	}
	for line := range strings.SplitSeq(shown(40), "\n") {
		if terminal.Cells(line) > 40 {
			t.Errorf("%q is wider than 40 cells", line)
		}
	}
	if text := shown(40); !strings.Contains(text, "accuracy  +0.0100  -0.0100  +0.0200\n") {
		t.Errorf("40 cells:\n%s", text)
	}
	if text := shown(80); !strings.Contains(text, "accuracy  0.7000  0.7100  +0.0100  -0.0100  +0.0200  0.5000\n") {
		t.Errorf("80 cells:\n%s", text)
	}
	r.Scores["accuracy"] = metric.Difference{Value: 0.01, Interval: interval}
	if text := shown(80); !strings.Contains(text, "+0.0200  <0.001\n") {
		t.Errorf("a p of no draw:\n%s", text)
	}
	var lists []string
	for _, width := range []int{40, 400} {
		_, list, _ := strings.Cut(shown(width), "settings, A and B:")
		lists = append(lists, strings.Join(strings.Fields(list), " "))
	}
	if d := cmp.Diff(lists[1], lists[0]); d != "" {
		t.Errorf("(-wide +narrow):\n%s", d)
	}
}
