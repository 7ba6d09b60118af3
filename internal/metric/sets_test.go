package metric

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// sets returns rows of labels, such as "ab" for the first two, as [B, labels].
func sets(labels int, rows ...string) (all []bool) {
	for _, row := range rows {
		for k := range labels {
			all = append(all, strings.ContainsRune(row, rune('a'+k)))
		}
	}
	return all
}

// TestSets compares with scores that were worked out by hand from the definitions of scikit-learn. Label a is found
// once and missed once, b is wrong twice and missed once, c is found, and d does not occur.
func TestSets(t *testing.T) {
	a, err := NewSetAccumulator([]string{"f1_micro", "f1_macro", "subset_accuracy"}, 4)
	if err != nil {
		t.Fatal(err)
	}
	a.Add(sets(4, "a", ""), sets(4, "ab", ""))
	a.Add(sets(4, "bc", "b"), sets(4, "c", "a"))
	want := Scores{"f1_micro": 0.5, "f1_macro": (2.0/3 + 0 + 1 + 0) / 4, "subset_accuracy": 0.25}
	if d := cmp.Diff(want, a.Scores(), cmpopts.EquateApprox(0, 1e-15)); d != "" {
		t.Errorf("scores (-want +got):\n%s", d)
	}
	nan := Number(math.NaN())
	report := &ClassReport{
		Classes: []ClassScores{{1, 0.5, 2.0 / 3, 2}, {0, 0, 0, 1}, {1.0 / 1, 1, 1, 1}, {nan, nan, nan, 0}},
		Micro:   &ClassScores{0.5, 0.5, 0.5, 4},
		Macro:   ClassScores{0.5, 0.375, (2.0/3 + 1) / 4, 4}, Weighted: ClassScores{0.75, 0.5, (4.0/3 + 1) / 4, 4},
	}
	near := cmp.Comparer(func(a, b Number) bool {
		return a.Defined() == b.Defined() && !(math.Abs(float64(a-b)) > 1e-15)
	})
	if d := cmp.Diff(report, a.Report(), near); d != "" {
		t.Errorf("report (-want +got):\n%s", d)
	}
	if i := a.Intervals()["f1_micro"]; i == nil || i.Low > 0.5 || i.High < 0.5 || i.Low == i.High {
		t.Errorf("the interval of f1_micro is %+v", i)
	}
}

// TestSetsAgainstSklearn compares with scikit-learn on random and degenerate sets.
func TestSetsAgainstSklearn(t *testing.T) {
	var g struct {
		Sets []struct {
			Name                   string
			Pred, Gold             [][]int
			Micro, Macro, Weighted [3]float64 // precision, recall, F1
			F1Micro                float64    `json:"f1_micro"`
			F1Macro                float64    `json:"f1_macro"`
			SubsetAccuracy         float64    `json:"subset_accuracy"`
		}
	}
	raw, err := os.ReadFile("testdata/golden.json")
	if err == nil {
		err = json.Unmarshal(raw, &g)
	}
	if err != nil || len(g.Sets) < 13 {
		t.Fatalf("%d cases, %v", len(g.Sets), err)
	}
	rows := func(matrix [][]int) (all []bool) {
		for _, row := range matrix {
			for _, v := range row {
				all = append(all, v == 1)
			}
		}
		return all
	}
	for _, c := range g.Sets {
		t.Run("sets="+c.Name, func(t *testing.T) {
			a, err := NewSetAccumulator([]string{"f1_micro", "f1_macro", "subset_accuracy"}, len(c.Gold[0]))
			if err != nil {
				t.Fatal(err)
			}
			a.Add(rows(c.Pred), rows(c.Gold))
			want := Scores{"f1_micro": c.F1Micro, "f1_macro": c.F1Macro, "subset_accuracy": c.SubsetAccuracy}
			if d := cmp.Diff(want, a.Scores(), cmpopts.EquateApprox(0, 1e-12)); d != "" {
				t.Errorf("scores (-want +got):\n%s", d)
			}
			r := a.Report()
			for name, average := range map[string]struct {
				got  ClassScores
				want [3]float64
			}{"micro": {*r.Micro, c.Micro}, "macro": {r.Macro, c.Macro}, "weighted": {r.Weighted, c.Weighted}} {
				for i, n := range []Number{average.got.Precision, average.got.Recall, average.got.F1} {
					// scikit-learn was asked to write 0 where it divides by zero.
					if v := float64(n); n.Defined() && math.Abs(v-average.want[i]) > 1e-12 || !n.Defined() && average.want[i] != 0 {
						t.Errorf("%s average %d is %v; want %v", name, i, v, average.want[i])
					}
				}
			}
		})
	}
}

// TestNoSets: no example has no score, and an example without any label on either side is right.
func TestNoSets(t *testing.T) {
	a, err := NewSetAccumulator([]string{"f1_micro", "f1_macro", "subset_accuracy"}, 2)
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range a.Scores() {
		if !math.IsNaN(v) {
			t.Errorf("%s without examples is %v", name, v)
		}
	}
	if len(a.Intervals()) != 0 {
		t.Error("there are intervals without examples")
	}
	a.Add(sets(2, ""), sets(2, ""))
	if d := cmp.Diff(Scores{"f1_micro": 0, "f1_macro": 0, "subset_accuracy": 1}, a.Scores()); d != "" {
		t.Error(d)
	}
}

func TestSetErrors(t *testing.T) {
	want := "metric: evaluate matthews: it does not compare sets of labels; want f1_macro, f1_micro or subset_accuracy"
	if _, err := NewSetAccumulator([]string{"matthews"}, 2); err == nil || err.Error() != want {
		t.Errorf("error %v; want %s", err, want)
	}
	defer func() {
		if got := recover(); got != (LengthError{Pred: 3, Gold: 3}) {
			t.Errorf("panic value %v", got)
		}
	}()
	a, _ := NewSetAccumulator(nil, 2)
	a.Add(make([]bool, 3), make([]bool, 3))
}

// TestPairedSets: an evaluation does not differ from itself, and one that finds every label is better than one that
// finds none.
func TestPairedSets(t *testing.T) {
	gold := sets(2, "a", "b", "ab", "a", "b")
	of := func(pred []bool) *SetAccumulator {
		a, err := NewSetAccumulator([]string{"f1_micro", "subset_accuracy"}, 2)
		if err != nil {
			t.Fatal(err)
		}
		a.Add(pred, gold)
		return a
	}
	none, every := of(make([]bool, len(gold))), of(gold)
	for name, d := range PairedSets(every, every) {
		if d.Value != 0 || d.P != 1 || d.N != 5 {
			t.Errorf("%s of one evaluation twice: %+v", name, d)
		}
	}
	for name, d := range PairedSets(none, every) {
		if d.Value != 1 || d.P != 0 || d.Interval == nil || d.Interval.Low != 1 {
			t.Errorf("%s of everything and nothing: %+v", name, d)
		}
	}
}
