package report

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/identity"
)

// TestComparison: the seed differs, on which the synthetic logs do not depend,
// and the loss drifts after epoch 5, so that the record of step 300 is the
// first that differs.
func TestComparison(t *testing.T) {
	dir := t.TempDir()
	b := whole()
	b.seed, b.drift = 18, 0.01
	dirs := []string{whole().write(t, filepath.Join(dir, "a", "run")), b.write(t, filepath.Join(dir, "b", "run"))}
	r, err := Read(dirs)
	must(t, err)
	line := 0
	logs := [2][]string{}
	for i, d := range dirs {
		raw, err := os.ReadFile(filepath.Join(d, "metrics.jsonl"))
		must(t, err)
		logs[i] = strings.Split(string(raw), "\n")
	}
	for logs[0][line] == logs[1][line] {
		line++
	}
	var first, other struct{ Loss json.Number }
	must(t, json.Unmarshal([]byte(logs[0][line]), &first))
	must(t, json.Unmarshal([]byte(logs[1][line]), &other))
	want := []Pair{{"a/run", "b/run", []Difference{{"seed", "17", "18"}},
		[]Divergence{{"train", 300, line + 1, "loss", first.Loss.String(), other.Loss.String()}}}}
	if d := cmp.Diff(want, r.Comparison.With); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	short := whole()
	short.epochs, short.finished = 29, false
	r, err = Read([]string{dirs[0], short.write(t, filepath.Join(dir, "c"))})
	must(t, err)
	for _, d := range r.Comparison.With[0].Divergence {
		if d.Step <= 29*perEpoch || d.Other != absent {
			t.Errorf("a run that ends after epoch 29: %+v", d)
		}
	}
	same, err := Read([]string{dirs[0], dirs[0]})
	must(t, err)
	if text := string(written(t, same.Markdown)); !strings.Contains(text, sameConfiguration) ||
		!strings.Contains(text, sameLogs) {
		t.Errorf("a run against itself:\n%s", text)
	}
}

// TestOtherConfiguration: the records of runs with different settings are
// expected to differ, so the page does not list where.
func TestOtherConfiguration(t *testing.T) {
	dir := t.TempDir()
	same, other := whole(), whole()
	same.drift, other.drift, other.seed = 0.01, 0.01, 18
	first := whole().write(t, filepath.Join(dir, "a"))
	for _, tt := range []struct {
		run    synthetic
		listed bool
	}{{same, true}, {other, false}} {
		r, err := Read([]string{first, tt.run.write(t, filepath.Join(dir, fmt.Sprint(tt.run.seed)))})
		must(t, err)
		if page := string(written(t, r.HTML)); strings.Contains(page, "First records that differ") != tt.listed {
			t.Errorf("seed %d: the page lists records that differ: %v, want %v", tt.run.seed, !tt.listed, tt.listed)
		}
		if text := string(written(t, r.Markdown)); strings.Contains(text, divergenceText) != tt.listed {
			t.Errorf("seed %d: the Markdown lists records that differ: %v, want %v", tt.run.seed, !tt.listed, tt.listed)
		}
	}
}

// TestDifferentData: the difference between runs of one run file on different
// data is reported if both runs recorded their data.
func TestDifferentData(t *testing.T) {
	c := config.Default()
	sum := strings.Repeat("0", 64)
	a := &Run{config: &c,
		made: &identity.Manifest{Data: map[string]identity.Split{"train": {Examples: 40, SHA256: sum}},
			Settings: map[string]string{"seed": "1"}}}
	b := &Run{config: &c, made: &identity.Manifest{Data: map[string]identity.Split{"train": {Examples: 41, SHA256: sum}}}}
	want := []Difference{{"data train", "40 examples, SHA-256 000000000000", "41 examples, SHA-256 000000000000"}}
	if d := cmp.Diff(want, differences(a, b)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if d := differences(a, &Run{config: &c}); len(d) > 0 {
		t.Errorf("beside a run that does not say: %v", d)
	}
}
