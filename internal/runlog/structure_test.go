package runlog

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/schedule"
)

// structures logs one record of every kind that has no row in metrics.csv.
func structures(r *Run) []Record {
	half, quarter := 0.5, 0.25
	span := func(first, last int) schedule.Span { return schedule.Span{First: first, Last: last} }
	at := []schedule.Time{{Step: 4, Epoch: 2}}
	plan := schedule.Plan{Layers: 3, Rank: 2, Parameters: 48, Merges: at, Injects: at, MaxMerges: 1, MaxInjects: 1,
		Score: "sfs", SFSK: 1}
	spectrum := schedule.Spectrum{Step: 4, Epoch: 2, Modules: []schedule.Module{
		{Span: span(0, 0), Singular: []float64{0.1 + 0.2, 1e-300}}, {Span: span(1, 2), Singular: []float64{2, 1}},
	}}
	event := schedule.Event{
		Step: 4, Epoch: 2, Action: "merge", Span: span(0, 1), Keep: 1, Winner: 0, Loss: &half, Sample: 64,
		Candidates: []schedule.Candidate{
			{Span: span(0, 1), Members: []schedule.Span{span(0, 0), span(1, 1)}, Scores: []float64{0.25, 0.5}, Score: 0.75,
				Loss: &quarter, ChangeSE: &quarter},
			{Span: span(1, 2), Members: []schedule.Span{span(1, 1), span(2, 2)}, Scores: []float64{0.5, 0.5}, Score: 1},
		},
		ParametersBefore: 48, ParametersAfter: 32,
		Before: schedule.Structure{Modules: []schedule.Span{span(0, 0), span(1, 1), span(2, 2)}, Injected: []int{}},
		After:  schedule.Structure{Modules: []schedule.Span{span(0, 1), span(2, 2)}, Injected: []int{}},
	}
	gradient := Gradient{Step: 4, Epoch: 2, Steps: 2,
		Layers: []LayerGradient{{0, MeanAbsolute{0.125, 8}, MeanAbsolute{1e-9, 16}}}}
	baseline := Baseline{Split: "dev", Examples: 24, Label: "a", Count: 9, Scores: metric.Scores{"accuracy": 0.375}}
	eval := Eval{Step: 4, Epoch: 2, Split: "dev", Scores: map[string]float64{},
		Intervals: map[string]*metric.Interval{"accuracy": {Low: 0.25, High: 0.5}, "pearson": nil}}
	r.Structure(plan)
	r.Baseline(baseline)
	r.Train(Train{Step: 4, Epoch: 2, Loss: 1})
	r.Eval(eval)
	scored := spectrum
	scored.Score, scored.Scores = "sfs", []float64{0.25, 0.5}
	r.Structure(scored)
	r.Structure(event)
	r.Gradient(gradient)
	return []Record{plan, baseline, Train{Step: 4, Epoch: 2, Loss: 1}, eval, spectrum, event, gradient}
}

// TestStructures: every record reads back equal, also after a rewind;
// metrics.csv has rows of other records only; and the console and log.txt have
// a line about each.
func TestStructures(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir, quiet())
	want := structures(r)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := ReadMetrics(dir)
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("error %v, -want +got\n%s", err, d)
	}
	table := read(t, dir, "metrics.csv")
	if rows := strings.Count(table, "\n"); rows != 3 {
		t.Errorf("metrics.csv has %d lines; want the header, a train record and an evaluation", rows)
	}
	jsonl := read(t, dir, "metrics.jsonl")
	line := `{"kind":"gradient","step":4,"epoch":2,"steps":2,"layers":[{"layer":0,"a":{"abs":0.125,"count":8},"b":{"abs":1e-9,"count":16}}]}`
	if !strings.HasSuffix(jsonl, line+"\n") {
		t.Errorf("metrics.jsonl does not end with\n%s\n%s", line, jsonl)
	}
	text := "step 4/10 merged layers 0-1 with the factors of the module of layer 1: score 0.7500, candidates 2, " +
		"adapter scalars 32, what-if loss 0.2500 from 0.5000\n"
	if log := read(t, dir, "log.txt"); !strings.Contains(log, text) {
		t.Errorf("log.txt lacks\n%s\n%s", text, log)
	}
	o := quiet()
	o.Resume, o.Step = true, 4
	if err := open(t, dir, o).Close(); err != nil {
		t.Fatal(err)
	}
	if read(t, dir, "metrics.csv") != table || read(t, dir, "metrics.jsonl") != jsonl {
		t.Error("a rewind to the last step changed the files")
	}
}

// TestDamagedStructures changes one line of a good file.
func TestDamagedStructures(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"missing", `"layers":3,`, ``, `field "layers" is missing`},
		{"unknown", `"layers":3,`, `"layers":3,"colour":"red",`, `the key "colour" is not known`},
		{"type", `"layers":3,`, `"layers":"three",`, "layers holds a JSON string, not a whole number"},
	} {
		t.Run("fault="+c.name, func(t *testing.T) {
			dir := t.TempDir()
			r := open(t, dir, quiet())
			structures(r)
			r.Close()
			path := filepath.Join(dir, "metrics.jsonl")
			if err := os.WriteFile(path, []byte(strings.Replace(read(t, dir, "metrics.jsonl"), c.old, c.new, 1)),
				0o666); err != nil {
				t.Fatal(err)
			}
			_, err := ReadMetrics(dir)
			want := "runlog: read metrics: " + path + ":1: " + c.want + "; restore the line or remove it with all that follow"
			if err == nil || err.Error() != want {
				t.Errorf("error %v\nwant %s", err, want)
			}
		})
	}
}
