package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/dataset"
)

// multiLabelConfig returns the demo's run file with texts that have the labels of the words in them.
func multiLabelConfig(t *testing.T) *config.Config {
	t.Helper()
	dir := t.TempDir()
	c := demoConfig(t, dir, 4)
	for split, n := range map[string]int{"train": 48, "dev": 16} {
		var b strings.Builder
		b.WriteString("text,tags\n")
		for i := range n {
			var words, tags []string
			for k, word := range []string{"water", "tree", "house"} {
				if (i+len(split))>>k&1 == 1 {
					words, tags = append(words, word), append(tags, fmt.Sprintf("t%d", k))
				}
			}
			fmt.Fprintf(&b, "\"item %d %s\",\"%s\"\n", i, strings.Join(words, " "), strings.Join(tags, "|"))
		}
		if err := os.WriteFile(filepath.Join(dir, split+".csv"), []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c.Data.Train, c.Data.Dev = filepath.Join(dir, "train.csv"), dataset.Source(filepath.Join(dir, "dev.csv"))
	c.Data.Label, c.Data.Labels, c.Data.Kind, c.Data.Separator = "tags", nil, dataset.MultiLabel, "|"
	c.Data.Threshold = 0.4
	return c
}

// trainAndEvaluate trains c, opens the best adapter, and evaluates it on dev, which has the loss that the run has
// logged. It returns the lines of the predictions that the evaluation writes, too.
func trainAndEvaluate(t *testing.T, c *config.Config, workers int) (*Outcome, *adapter.Saved, *SplitEvaluation,
	[]string) {
	t.Helper()
	outcome, err := Run(context.Background(), c, quiet(workers))
	if err != nil {
		t.Fatal(err)
	}
	best := filepath.Join(c.Out, bestLink)
	saved, err := adapter.Open(best)
	if err != nil {
		t.Fatal(err)
	}
	saved.Close()
	e, err := Evaluate(context.Background(), c, cpu.Open[float32](1), best, "dev", nil)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(e.Loss-outcome.Dev.Loss) > 1e-5 {
		t.Errorf("the evaluation has the loss %g; the run had %g", e.Loss, outcome.Dev.Loss)
	}
	var file bytes.Buffer
	if err := e.WritePredictions(&file); err != nil {
		t.Fatal(err)
	}
	return outcome, saved, e, strings.Split(file.String(), "\n")
}

// TestMultiLabelRun trains, evaluates the adapter and predicts with it: the run learns, and all three agree.
func TestMultiLabelRun(t *testing.T) {
	c := multiLabelConfig(t)
	c.Train.Epochs = 14
	outcome, saved, e, lines := trainAndEvaluate(t, c, 1)
	if got := outcome.Dev.Scores["f1_micro"]; outcome.Select != "f1_micro" || !(got > 0.9) {
		t.Errorf("%s is %v; want more than 0.9 for words that name their labels", outcome.Select, got)
	}
	if task := saved.Task; task.Kind != dataset.MultiLabel || task.Threshold != 0.4 ||
		task.Separator != "|" || fmt.Sprint(task.Labels) != "[t0 t1 t2]" {
		t.Errorf("the adapter records %+v", task)
	}
	if e.Scores["f1_micro"] != outcome.Dev.Scores["f1_micro"] ||
		len(e.Classes.Classes) != 3 || e.Classes.Micro == nil || e.Intervals["f1_macro"] == nil {
		t.Errorf("the evaluation is %+v; the run had %+v", e, outcome.Dev)
	}
	best := filepath.Join(c.Out, bestLink)
	p, _ := predictor(t, "", best)
	values := outputs(t, p, devTexts(t, c))[0].Values
	for i, set := range e.Sets {
		var names []string
		for k := range 3 {
			if Logistic(float64(values[3*i+k])) >= 0.4 {
				names = append(names, saved.Task.Labels[k])
			}
		}
		if want := fmt.Sprintf("%d\t%s", i, strings.Join(names, "|")); lines[i+1] != want || len(set) != len(names) {
			t.Errorf("the evaluation writes %q; the outputs of predict are %q", lines[i+1], want)
		}
	}

	if adapter.MultiLabel != dataset.MultiLabel {
		t.Errorf("adapters call the kind %q, and run files %q", adapter.MultiLabel, dataset.MultiLabel)
	}

	c.Data.Kind, c.Data.Separator, c.Data.Threshold = "", "", 0
	c.Data.Labels = saved.Task.Labels
	if err := os.WriteFile(string(c.Data.Dev), []byte("text,tags\nwater,t0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Evaluate(context.Background(), c, cpu.Open[float32](1), best, "dev", nil)
	want := "its head predicts any number of labels for an example, and data.kind says one label for each example"
	if !errors.Is(err, adapter.ErrMismatch) || !strings.Contains(err.Error(), want) {
		t.Errorf("evaluation as classes: %v; want %s", err, want)
	}
}
