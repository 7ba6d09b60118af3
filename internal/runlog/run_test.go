package runlog

import (
	"encoding/csv"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// ticking returns a clock that advances by a second each time it is read.
func ticking() func() time.Time {
	t := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return func() time.Time { t = t.Add(time.Second); return t }
}

func quiet() Options {
	return Options{Scores: []string{"accuracy", "f1"}, Steps: 10, Epochs: 5, Stdout: io.Discard, Stderr: io.Discard,
		Now: ticking()}
}

func open(t testing.TB, dir string, o Options) *Run {
	t.Helper()
	r, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// steps logs the given steps: values that need all digits, values that JSON has
// no number for, and an evaluation every other step.
func steps(r *Run, from, to int) {
	for s := from; s <= to; s++ {
		r.Advance(s, 8, 100)
		loss, norm := 1/float64(s+2), math.Sqrt(float64(s))
		if s == 7 {
			loss, norm = math.NaN(), math.Inf(1)
		}
		r.Train(Train{Step: s, Epoch: float64(s) / 2, Loss: loss, LearningRate: 1e-5 * float64(s), GradNorm: norm})
		if s%2 == 0 {
			r.Eval(Eval{Step: s, Epoch: float64(s / 2), Split: "dev", Loss: math.Sqrt(float64(s)), Best: s == 4,
				Scores: map[string]float64{"accuracy": float64(s) / 30, "f1": math.NaN()}})
		}
	}
}

func read(t testing.TB, dir, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// uninterrupted returns the metrics files of an uninterrupted run of ten steps.
func uninterrupted(t testing.TB) (dir, jsonl, table string) {
	dir = filepath.Join(t.TempDir(), "run")
	r := open(t, dir, quiet())
	steps(r, 1, 10)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, read(t, dir, "metrics.jsonl"), read(t, dir, "metrics.csv")
}

func TestMetricsAreWhatTheDocumentationShows(t *testing.T) {
	_, jsonl, table := uninterrupted(t)
	wantJSON := `{"kind":"train","step":7,"epoch":3.5,"loss":null,"learning_rate":7.000000000000001e-05,"grad_norm":null}
{"kind":"train","step":8,"epoch":4,"loss":0.1,"learning_rate":8e-05,"grad_norm":2.8284271247461903}
{"kind":"eval","step":8,"epoch":4,"split":"dev","loss":2.8284271247461903,"accuracy":0.26666666666666666,"f1":null,"best":false}
`
	if !strings.Contains(jsonl, wantJSON) {
		t.Errorf("metrics.jsonl lacks\n%s\n%s", wantJSON, jsonl)
	}
	for _, want := range []string{"kind,step,epoch,split,loss,learning_rate,grad_norm,accuracy,f1,best\n",
		"train,7,3.5,,,7.000000000000001e-05,,,,\n", "eval,8,4,dev,2.8284271247461903,,,0.26666666666666666,,false\n"} {
		if !strings.Contains(table, want) {
			t.Errorf("metrics.csv lacks %q\n%s", want, table)
		}
	}
}

// TestCSVEqualsJSONL: an independent parser reads the same values from
// metrics.csv as from metrics.jsonl.
func TestCSVEqualsJSONL(t *testing.T) {
	dir, _, table := uninterrupted(t)
	records, err := ReadMetrics(dir)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(table)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != len(records)+1 || len(records) != 15 {
		t.Fatalf("%d rows, %d records; want 16, 15", len(rows), len(records))
	}
	for i, record := range records {
		got := map[string]string{}
		for c, name := range rows[0] {
			if cell := rows[i+1][c]; cell != "" {
				got[name] = cell
			}
		}
		want := map[string]string{}
		for _, f := range record.(row).fields(rows[0]) {
			if text := strings.Trim(string(f.literal()), `"`); text != "null" {
				want[f.name] = text
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("record %d: -jsonl +csv\n%s", i, d)
		}
	}
}

func TestSecondRunInOneDirectoryIsRefused(t *testing.T) {
	dir, jsonl, _ := uninterrupted(t)
	_, err := Open(dir, quiet())
	want := "runlog: open " + dir +
		": it already contains a run (metrics.jsonl); resume that run or choose another directory"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if read(t, dir, "metrics.jsonl") != jsonl {
		t.Error("the first run's metrics were changed")
	}
}

func TestScoreNamesNeedTheirOwnColumn(t *testing.T) {
	for _, names := range [][]string{{"loss"}, {""}, {"f1", "f1"}} {
		o := quiet()
		o.Scores = names
		if _, err := Open(t.TempDir(), o); err == nil ||
			!strings.Contains(err.Error(), "want a different name for every column") {
			t.Errorf("scores %q: error is %v", names, err)
		}
	}
}

func TestMisusePanics(t *testing.T) {
	for name, call := range map[string]func(*Run){
		"order":  func(r *Run) { r.Train(Train{Step: 2}); r.Train(Train{Step: 1}) },
		"column": func(r *Run) { r.Eval(Eval{Step: 3, Scores: map[string]float64{"mcc": 1}}) },
	} {
		t.Run("misuse="+name, func(t *testing.T) {
			defer func() {
				if _, ok := recover().(Misuse); !ok {
					t.Error("no Misuse panic")
				}
			}()
			call(open(t, t.TempDir(), quiet()))
		})
	}
}
