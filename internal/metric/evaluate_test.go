package metric

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// scores returns the scores of one batch.
func scores(names []string, classes int, pred, gold []float32) (Scores, error) {
	a, err := NewAccumulator(names, classes)
	if err != nil {
		return nil, err
	}
	a.Add(pred, gold)
	return a.Scores(), nil
}

func TestEvaluateClasses(t *testing.T) {
	nan := float32(math.NaN())
	// The predicted classes of the rows are 1, 0 (a tie), 2 (NaN) and 2.
	logits := []float32{-1, 2, 0, 3, 3, 1, 5, 9, nan, 0, 0, 0.5}
	got, err := scores([]string{"accuracy", "matthews"}, 3, logits, []float32{1, 0, 2, 0})
	if err != nil {
		t.Fatal(err)
	}
	pred, gold := []int{1, 0, 2, 2}, []int{1, 0, 2, 0}
	want := Scores{"accuracy": 0.75, "matthews": Matthews(pred, gold)}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestEvaluateValues(t *testing.T) {
	got, err := scores([]string{"pearson", "spearman"}, 1, []float32{1, 2, 4}, []float32{0, 5, 4})
	if err != nil {
		t.Fatal(err)
	}
	pred, gold := []float64{1, 2, 4}, []float64{0, 5, 4}
	if d := cmp.Diff(Scores{"pearson": Pearson(pred, gold), "spearman": 0.5}, got); d != "" {
		t.Error(d)
	}
}

// TestAccumulatorBatches: adding examples in batches gives the same scores as
// adding them at once.
func TestAccumulatorBatches(t *testing.T) {
	logits := []float32{0, 1, 1, 0, 0, 1, 0, 1, 1, 0}
	gold := []float32{1, 0, 0, 1, 1}
	names := []string{"accuracy", "f1", "matthews"}
	want, err := scores(names, 2, logits, gold)
	if err != nil {
		t.Fatal(err)
	}
	a, err := NewAccumulator(names, 2)
	if err != nil {
		t.Fatal(err)
	}
	a.Add(logits[:4], gold[:2])
	a.Add(logits[4:], gold[2:])
	if d := cmp.Diff(want, a.Scores()); d != "" {
		t.Error(d)
	}
}

func TestEvaluateErrors(t *testing.T) {
	for _, c := range []struct {
		name, metric string
		classes      int
		want         string
	}{
		{"unknown", "acuracy", 2,
			`metric: look up "acuracy": no such metric; want one of accuracy, f1, f1_macro, matthews, pearson, spearman, f1_micro, subset_accuracy, precision, recall (nearest "accuracy")`},
		{"regression_over_classes", "pearson", 2, "metric: evaluate pearson: it is not a metric of classification, and the " +
			"model has 2 outputs; want accuracy, f1, f1_macro or matthews"},
		{"classes_over_regression", "accuracy", 1,
			"metric: evaluate accuracy: it is not a metric of regression, and the model has 1 output; want pearson or spearman"},
		{"f1_of_three", "f1", 3, "metric: evaluate f1: it is defined for two classes here, and the model has 3; want " +
			"f1_macro, accuracy or matthews"},
		{"no_outputs", "accuracy", 0,
			"metric: evaluate accuracy: model has 0 outputs; want 1 for regression or 2 and more classes"},
	} {
		t.Run("case="+c.name, func(t *testing.T) {
			if _, err := scores([]string{c.metric}, c.classes, nil, nil); err == nil || err.Error() != c.want {
				t.Errorf("error %v\nwant  %s", err, c.want)
			}
		})
	}
}

func TestAddPanics(t *testing.T) {
	for _, c := range []struct {
		name       string
		pred, gold []float32
		want       error
	}{
		{"shape", []float32{1, 2, 3}, []float32{1}, LengthError{Pred: 3, Gold: 1}},
		{"too_high", []float32{1, 2}, []float32{2}, LabelError{Index: 0, Label: 2, Classes: 2}},
		{"fraction", []float32{1, 2, 3, 4}, []float32{1, 0.5}, LabelError{Index: 1, Label: 0.5, Classes: 2}},
		{"negative", []float32{1, 2}, []float32{-1}, LabelError{Index: 0, Label: -1, Classes: 2}},
	} {
		t.Run("case="+c.name, func(t *testing.T) {
			defer func() {
				if got := recover(); got != c.want {
					t.Errorf("panic value %v; want %v", got, c.want)
				}
			}()
			a, err := NewAccumulator([]string{"accuracy"}, 2)
			if err != nil {
				t.Fatal(err)
			}
			a.Add(c.pred, c.gold)
		})
	}
	want := "metric: add batch: gold label -1 at 0; want a class index below 2"
	if got := (LabelError{0, -1, 2}).Error(); got != want {
		t.Errorf("message %q; want %q", got, want)
	}
}
