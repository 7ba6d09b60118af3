package main

import (
	"bytes"
	"encoding/json"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/terminal"
	"github.com/lor2c/lor2c/internal/terminal/terminaltest"
	"github.com/lor2c/lor2c/internal/train"
)

// twoClasses returns an evaluation of six examples, worked out by hand: of
// class "no" two of three are found, and class "yes" is predicted once,
// correctly.
func twoClasses() *train.SplitEvaluation {
	pred, gold := []int{0, 0, 0, 0, 0, 1}, []int{0, 0, 0, 1, 1, 1}
	return &train.SplitEvaluation{Split: "dev", Examples: 6, Labels: []string{"no", "yes"}, Evaluation: train.Evaluation{
		Loss: 0.5, Scores: metric.Scores{"accuracy": 4.0 / 6, "f1": 0.5}, Predictions: make([]float32, 6),
		Intervals: map[string]*metric.Interval{"accuracy": {Low: 0.25, High: 1}, "f1": nil},
		Classes:   metric.NewClassReport(pred, gold, 2),
		Majority:  &metric.Majority{Class: 0, Count: 3, Scores: metric.Scores{"accuracy": 0.5, "f1": 0}},
	}}
}

func TestPrintScores(t *testing.T) {
	var b bytes.Buffer
	printScores(terminal.Open(&b, terminal.Terminal{}, nil), twoClasses())
	want := `dev: loss 0.5000  accuracy 0.6667  f1 0.5000
6 examples; 95 % bootstrap intervals: accuracy 0.2500 to 1.0000
always predicting "no": accuracy 0.5000, f1 0.0000
f1 is that of class "yes"; f1_macro is the mean over the classes

             class  precision  recall      f1  support
                no     0.6000  1.0000  0.7500        3
               yes     1.0000  0.3333  0.5000        3
     macro average     0.8000  0.6667  0.6250        6
  weighted average     0.8000  0.6667  0.6250        6

confusion matrix: a row for each label of the data, a column for each prediction
       no  yes
   no   3    0
  yes   2    1
`
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestPrintScoresNarrow checks that no line is wider than a terminal, that narrow tables
// keep the columns that say most and name the others, and that a matrix which does not fit is left out.
func TestPrintScoresNarrow(t *testing.T) {
	tty := terminaltest.New(40)
	printScores(terminal.Open(tty, tty.Terminal(), nil), twoClasses())
	want := `dev: loss 0.5000  accuracy 0.6667  f1
  0.5000
6 examples; 95 % bootstrap intervals:
  accuracy 0.2500 to 1.0000
always predicting "no": accuracy 0.5000,
  f1 0.0000
f1 is that of class "yes"; f1_macro is
  the mean over the classes

             class  recall      f1
                no  1.0000  0.7500
               yes  0.3333  0.5000
     macro average  0.6667  0.6250
  weighted average  0.6667  0.6250
The terminal is too narrow for
  precision, support; --json has all
  columns.

confusion matrix: a row for each label
  of the data, a column for each
  prediction
       no  yes
   no   3    0
  yes   2    1
`
	if d := cmp.Diff(want, tty.String()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	e := twoClasses()
	e.Labels = []string{strings.Repeat("n", 20), strings.Repeat("y", 20)}
	tty = terminaltest.New(40)
	printScores(terminal.Open(tty, tty.Terminal(), nil), e)
	if got := tty.String(); !strings.Contains(got, "wider than the terminal") {
		t.Errorf("a matrix of 66 cells in 40:\n%s", got)
	}
}

// TestUndefinedScores: an undefined score is "undefined" in a sentence, blank
// in a table and null in JSON.
func TestUndefinedScores(t *testing.T) {
	nan := math.NaN()
	e := &train.SplitEvaluation{Split: "dev", Examples: 1,
		Evaluation: train.Evaluation{Loss: 2, Scores: metric.Scores{"pearson": nan}, Predictions: []float32{1}}}
	var b bytes.Buffer
	printScores(terminal.Open(&b, terminal.Terminal{}, nil), e)
	if want := "dev: loss 2.0000  pearson undefined\n1 example\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
	b.Reset()
	if err := printJSON(&b, e); err != nil {
		t.Fatal(err)
	}
	var got struct{ Scores map[string]*float64 }
	if err := json.Unmarshal(b.Bytes(), &got); err != nil || len(got.Scores) != 1 || got.Scores["pearson"] != nil {
		t.Errorf("%v: %s", err, b.String())
	}
	if cell := tableCell(metric.Number(nan)); cell != "" {
		t.Errorf("the cell of an undefined value is %q", cell)
	}
}

// TestEvalViews: eval --views prints a row or an object for each form of a method that has several.
func TestEvalViews(t *testing.T) {
	out := filepath.Join(t.TempDir(), "run")
	if r := run(t, append(short(t, out), "--set", "method.name=dylora", "--set", "method.rank=2")...); r.code != 0 {
		t.Fatal(r)
	}
	r := run(t, "eval", "--run", out, "--views", "all")
	if lines := strings.Split(strings.TrimSpace(r.stdout), "\n"); r.code != 0 || len(lines) != 4 ||
		!strings.HasPrefix(strings.TrimSpace(lines[2]), "rank 1 ") ||
		!strings.HasPrefix(strings.TrimSpace(lines[3]), "rank 2 ") {
		t.Errorf("%+v", r)
	}
	var got struct {
		Split string
		Views []struct {
			View   string
			Loss   float64
			Scores map[string]float64
		}
	}
	r = run(t, "eval", "--run", out, "--views", "2", "--json")
	if err := json.Unmarshal([]byte(r.stdout), &got); err != nil || got.Split != "dev" || len(got.Views) != 1 ||
		got.Views[0].View != "rank 2" || got.Views[0].Loss == 0 || len(got.Views[0].Scores) == 0 {
		t.Errorf("%v, %+v", err, got)
	}
	if r := run(t, "eval", "--run", out, "--views", "all", "--predictions", "x"); r.code != exitUsage {
		t.Errorf("%+v", r)
	}
}

// TestPrintSets: a split whose examples have several labels has a table of the labels with their micro average, and
// neither a baseline nor a confusion matrix.
func TestPrintSets(t *testing.T) {
	a, err := metric.NewSetAccumulator([]string{"f1_micro"}, 2)
	if err != nil {
		t.Fatal(err)
	}
	a.Add([]bool{true, false, true, true}, []bool{true, true, false, true})
	e := &train.SplitEvaluation{Split: "dev", Examples: 2, Labels: []string{"cold", "wet"}, Separator: ",",
		Evaluation: train.Evaluation{Loss: 0.5, Scores: a.Scores(), Sets: [][]int32{{0}, {0, 1}}, Classes: a.Report()}}
	var b bytes.Buffer
	printScores(terminal.Open(&b, terminal.Terminal{}, nil), e)
	want := `dev: loss 0.5000  f1_micro 0.6667
2 examples

             class  precision  recall      f1  support
              cold     0.5000  1.0000  0.6667        1
               wet     1.0000  0.5000  0.6667        2
     micro average     0.6667  0.6667  0.6667        3
     macro average     0.7500  0.7500  0.6667        3
  weighted average     0.8333  0.6667  0.6667        3
`
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if got := scoresJSON(e); got["majority"] != nil || got["by_class"] == nil {
		t.Errorf("JSON has %v", got)
	}
	e.Scores = nil
	if got, want := scoreLine(e.Evaluation), "2 predictions, without scores, because there are no labels"; got != want {
		t.Errorf("%q; want %q", got, want)
	}
}
