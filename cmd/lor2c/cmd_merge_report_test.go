package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMergeReport trains for a short time with a merge and an injection. Every
// format must contain them and be written where the flags say.
func TestMergeReport(t *testing.T) {
	out := filepath.Join(t.TempDir(), "run")
	args := append(short(t, out), "--set", "train.epochs=3", "--set", "schedule.max_merges=1", "--set",
		"schedule.max_injects=1", "--set", "schedule.what_if=16")
	if r := run(t, args...); r.code != 0 {
		t.Fatal(r)
	}
	figures := filepath.Join(t.TempDir(), "figures")
	if r := run(t, "merge-report", out, "--figures", figures); r.code != 0 || r.stdout != "" ||
		!strings.Contains(r.stderr, filepath.Join(out, "report.html")) {
		t.Fatalf("html: %+v", r)
	}
	page, err := os.ReadFile(filepath.Join(out, "report.html"))
	if err != nil || !strings.Contains(string(page), "</html>") {
		t.Errorf("the page is incomplete: %v", err)
	}
	for _, name := range []string{"timeline.png", "structure.svg", "event-02.png", "harm.svg"} {
		if _, err := os.Stat(filepath.Join(figures, name)); err != nil {
			t.Error(err)
		}
	}
	r := run(t, "merge-report", out, "--format", "json")
	var got struct {
		Runs []struct {
			Finished bool
			Events   []struct{ Action string }
		}
	}
	if err := json.Unmarshal([]byte(r.stdout), &got); err != nil || len(got.Runs) != 1 || !got.Runs[0].Finished ||
		len(got.Runs[0].Events) != 2 {
		t.Errorf("json: %v, %+v", err, got)
	}
	if r := run(t, "merge-report", out, out, "--format", "md"); r.code != 0 ||
		!strings.Contains(r.stdout, "The logs are equal, record by record.") {
		t.Errorf("md: %+v", r)
	}
	file := filepath.Join(t.TempDir(), "x.csv")
	if r := run(t, "merge-report", out, "--format", "csv", "--out", file); r.code != 0 || r.stdout != "" {
		t.Errorf("csv: %+v", r)
	}
	// Four modules have three pairs of neighbours. After a merge two modules of
	// one layer remain.
	if raw, err := os.ReadFile(file); err != nil || strings.Count(string(raw), "\n") != 1+3+2 {
		t.Errorf("csv: %v\n%s", err, raw)
	}
}

func TestMergeReportMistakes(t *testing.T) {
	for _, tt := range []struct {
		name, args string
		code       int
		want       string
	}{
		{"no-run", "merge-report", exitUsage, "no run is named; name one or more directories that lor2c train wrote"},
		{"format", "merge-report x --format pdf", exitUsage, `--format is "pdf"; want html, json, md, csv`},
		{"not-a-run", "merge-report demo/data", exitUsage, "report: read run demo/data: there is no config.resolved.yaml"},
	} {
		t.Run("case="+tt.name, func(t *testing.T) {
			if r := run(t, strings.Fields(tt.args)...); r.code != tt.code || !strings.Contains(r.stderr, tt.want) {
				t.Errorf("exit code %d, stderr %q; want %d and %q", r.code, r.stderr, tt.code, tt.want)
			}
		})
	}
}
