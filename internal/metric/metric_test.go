package metric

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// golden has the fields of the file that scripts/golden_metric.py writes; null
// is NaN.
type golden struct {
	Classes []struct {
		Name                   string
		Pred, Gold             []int
		Accuracy, F1, Matthews *float64
		F1Macro                *float64 `json:"f1_macro"`
		// These are the scores of every class below K; null where scikit-learn
		// divides by zero.
		K                    int
		Precision, Recall, F []*float64
		Support              []int
		Confusion            [][]int
		Macro, Weighted      []*float64 // precision, recall, F1
	}
	Values []struct {
		Name              string
		Pred, Gold        []float64
		Pearson, Spearman *float64
	}
}

func TestAgainstSklearnAndScipy(t *testing.T) {
	raw, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	if len(g.Classes) < 60 || len(g.Values) < 35 {
		t.Fatalf("the golden file has %d and %d cases", len(g.Classes), len(g.Values))
	}
	for _, c := range g.Classes {
		t.Run("classes="+c.Name, func(t *testing.T) {
			same(t, "accuracy", Accuracy(c.Pred, c.Gold), c.Accuracy)
			same(t, "f1", F1(c.Pred, c.Gold), c.F1)
			same(t, "matthews", Matthews(c.Pred, c.Gold), c.Matthews)
			same(t, "f1_macro", F1Macro(c.Pred, c.Gold), c.F1Macro)
			r := NewClassReport(c.Pred, c.Gold, c.K)
			if d := cmp.Diff(c.Confusion, r.Confusion); d != "" {
				t.Errorf("confusion matrix (-want +got):\n%s", d)
			}
			for name, average := range map[string]struct {
				got  ClassScores
				want []*float64
			}{"macro": {r.Macro, c.Macro}, "weighted": {r.Weighted, c.Weighted}} {
				same(t, name+" precision", float64(average.got.Precision), average.want[0])
				same(t, name+" recall", float64(average.got.Recall), average.want[1])
				same(t, name+" f1", float64(average.got.F1), average.want[2])
			}
			for k, one := range r.Classes {
				same(t, fmt.Sprintf("precision of class %d", k), float64(one.Precision), c.Precision[k])
				same(t, fmt.Sprintf("recall of class %d", k), float64(one.Recall), c.Recall[k])
				same(t, fmt.Sprintf("f1 of class %d", k), float64(one.F1), c.F[k])
				if one.Support != c.Support[k] {
					t.Errorf("support of class %d is %d; want %d", k, one.Support, c.Support[k])
				}
			}
		})
	}
	for _, c := range g.Values {
		t.Run("values="+c.Name, func(t *testing.T) {
			same(t, "pearson", Pearson(c.Pred, c.Gold), c.Pearson)
			same(t, "spearman", Spearman(c.Pred, c.Gold), c.Spearman)
		})
	}
}

func same(t *testing.T, name string, got float64, want *float64) {
	t.Helper()
	if want == nil {
		if !math.IsNaN(got) {
			t.Errorf("%s = %v; want NaN", name, got)
		}
		return
	}
	if !(math.Abs(got-*want) <= 1e-12) {
		t.Errorf("%s = %.17g; want %.17g", name, got, *want)
	}
}

func TestUndefinedInputs(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	cases := []struct {
		name       string
		pred, gold []float64
		spearman   float64
	}{
		{"empty", nil, nil, nan},
		{"single", []float64{1}, []float64{2}, nan},
		{"nan", []float64{1, nan, 3}, []float64{1, 2, 3}, nan},
		{"nan_gold", []float64{1, 2, 3}, []float64{1, 2, nan}, nan},
		// scipy.stats.spearmanr([1, inf, 3], [1, 2, 3]) is 0.5.
		{"inf", []float64{1, inf, 3}, []float64{1, 2, 3}, 0.5},
	}
	for _, c := range cases {
		t.Run("case="+c.name, func(t *testing.T) {
			same(t, "pearson", Pearson(c.pred, c.gold), nil)
			if math.IsNaN(c.spearman) {
				same(t, "spearman", Spearman(c.pred, c.gold), nil)
			} else {
				same(t, "spearman", Spearman(c.pred, c.gold), &c.spearman)
			}
		})
	}
	for _, m := range all {
		if m.Classes != nil {
			same(t, m.Name, m.Classes(nil, nil), nil)
		}
	}
}

func TestByName(t *testing.T) {
	for _, name := range Names() {
		m, err := ByName(name)
		if err != nil || m.Name != name || !m.Fits(Classes) && !m.Fits(Values) && !m.Fits(Sets) &&
			!m.Fits(Tags) {
			t.Errorf("ByName(%q) = %+v, %v", name, m, err)
		}
	}
	for name, want := range map[string]string{
		"Mathews": `metric: look up "Mathews": no such metric; want one of accuracy, f1, f1_macro, matthews, pearson, spearman, f1_micro, subset_accuracy, precision, recall (nearest "matthews")`,
		"bleu":    `metric: look up "bleu": no such metric; want one of accuracy, f1, f1_macro, matthews, pearson, spearman, f1_micro, subset_accuracy, precision, recall`,
	} {
		if _, err := ByName(name); err == nil || err.Error() != want {
			t.Errorf("ByName(%q): %v; want %s", name, err, want)
		}
	}
}

func TestBetter(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		a, b float64
		want bool
	}{
		{0.9, 0.8, true}, {0.8, 0.9, false}, {0.8, 0.8, false}, {-1, nan, true},
		{nan, -1, false}, {nan, nan, false}, {0, math.Inf(-1), true},
	} {
		if got := Better(c.a, c.b); got != c.want {
			t.Errorf("Better(%v, %v) = %v", c.a, c.b, got)
		}
	}
}

// TestMerit: a lower perplexity is better, and a higher score of every other metric.
func TestMerit(t *testing.T) {
	for _, name := range append(Names(), Perplexity) {
		if got, want := Better(Merit(name, 3), Merit(name, 5)), name == Perplexity; got != want {
			t.Errorf("%s of 3 is better than 5: %t; want %t", name, got, want)
		}
		if Better(Merit(name, math.NaN()), Merit(name, 5)) {
			t.Errorf("an undefined %s is better than 5", name)
		}
	}
}

func TestLengthPanics(t *testing.T) {
	for _, m := range all {
		if !m.Fits(Classes) && !m.Fits(Values) {
			continue // a score of counts
		}
		t.Run("metric="+m.Name, func(t *testing.T) {
			defer func() {
				e, ok := recover().(LengthError)
				want := "metric: compare predictions to gold labels: lengths 2 and 1 do not fit"
				if !ok || e.Error() != want {
					t.Errorf("panic value %v; want %s", e, want)
				}
			}()
			if m.Values != nil {
				m.Values([]float64{1, 2}, []float64{1})
			} else {
				m.Classes([]int{1, 2}, []int{1})
			}
		})
	}
}
