package metric

import (
	"encoding/json"
	"maps"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// taggedCase is a case of testdata/tags.json, which scripts/golden_tags.py writes with seqeval. An entity is its type,
// its first token and the token after its last; scores are precision, recall, F1 and support.
type taggedCase struct {
	Name                        string
	Labels                      []string
	Gold, Pred                  [][]string
	GoldEntities                [][][3]any `json:"gold_entities"`
	PredEntities                [][][3]any `json:"pred_entities"`
	Precision, Recall, Accuracy float64
	F1                          float64
	Types                       map[string][4]float64
	Micro, Macro, Weighted      [4]float64
}

// indices returns the tags of a sentence as indices of labels.
func (c taggedCase) indices(sentence []string) []int {
	tags := make([]int, len(sentence))
	for i, tag := range sentence {
		tags[i] = slices.Index(c.Labels, tag)
	}
	return tags
}

var tagMetrics = []string{"accuracy", "f1", "precision", "recall"}

// TestTagsAgainstSeqeval compares entities, scores and the report with seqeval in its default mode, also for tags that
// no scheme allows.
func TestTagsAgainstSeqeval(t *testing.T) {
	var g struct{ Cases []taggedCase }
	raw, err := os.ReadFile("testdata/tags.json")
	if err == nil {
		err = json.Unmarshal(raw, &g)
	}
	if err != nil || len(g.Cases) < 20 {
		t.Fatalf("%d cases, %v", len(g.Cases), err)
	}
	for _, c := range g.Cases {
		t.Run("tags="+c.Name, func(t *testing.T) {
			a, err := NewTagAccumulator(tagMetrics, c.Labels)
			if err != nil {
				t.Fatal(err)
			}
			found := func(sentences [][]string) [][][3]any {
				all := make([][][3]any, len(sentences))
				for i, s := range sentences {
					all[i] = [][3]any{}
					for _, e := range a.scheme.Entities(c.indices(s)) {
						all[i] = append(all[i], [3]any{a.scheme.Types[e.Type], float64(e.Start), float64(e.End)})
					}
				}
				return all
			}
			if d := cmp.Diff(c.GoldEntities, found(c.Gold)); d != "" {
				t.Errorf("entities of the data (-want +got):\n%s", d)
			}
			if d := cmp.Diff(c.PredEntities, found(c.Pred)); d != "" {
				t.Errorf("predicted entities (-want +got):\n%s", d)
			}
			for i := range c.Gold {
				a.Add(c.indices(c.Pred[i]), c.indices(c.Gold[i]))
			}
			want := Scores{"accuracy": c.Accuracy, "f1": c.F1, "precision": c.Precision, "recall": c.Recall}
			if d := cmp.Diff(want, a.Scores(), cmpopts.EquateApprox(0, 1e-12)); d != "" {
				t.Errorf("scores (-want +got):\n%s", d)
			}
			r := a.Report()
			near := func(name string, got ClassScores, want [4]float64) {
				for i, n := range []Number{got.Precision, got.Recall, got.F1} {
					// seqeval writes 0 where it divides by zero.
					if v := float64(n); n.Defined() && math.Abs(v-want[i]) > 1e-12 || !n.Defined() && want[i] != 0 {
						t.Errorf("%s: score %d is %v; want %v", name, i, v, want[i])
					}
				}
				if float64(got.Support) != want[3] {
					t.Errorf("%s: support %d; want %v", name, got.Support, want[3])
				}
			}
			near("micro", *r.Micro, c.Micro)
			near("macro", r.Macro, c.Macro)
			near("weighted", r.Weighted, c.Weighted)
			for i, name := range r.Names {
				near(name, r.Classes[i], c.Types[name]) // seqeval has no row for a type without entities
			}
			for _, name := range slices.Sorted(maps.Keys(c.Types)) {
				if !slices.Contains(r.Names, name) {
					t.Errorf("the report has no type %s", name)
				}
			}
		})
	}
}

// TestTagSchemes: labels that are no tags of entities have no scheme, and their report is that of classes.
func TestTagSchemes(t *testing.T) {
	for _, labels := range [][]string{
		{"NOUN", "VERB"}, {"O"}, {"B-", "O"}, {"B-PER", "L-PER", "O"}, {"O-x", "B-x"}, {""},
	} {
		if s, ok := NewTagScheme(labels); ok {
			t.Errorf("%q have the scheme %+v", labels, s)
		}
	}
	a, err := NewTagAccumulator([]string{"accuracy"}, []string{"NOUN", "VERB"})
	if err != nil {
		t.Fatal(err)
	}
	a.Add([]int{0, 1, 1}, []int{0, 0, 1})
	if d := cmp.Diff([][]int{{1, 1}, {0, 1}}, a.Report().Confusion); d != "" {
		t.Error(d)
	}
	if m := a.Majority(); m.Class != 0 || m.Count != 2 || m.Scores["accuracy"] != 2.0/3 {
		t.Errorf("majority %+v", m)
	}
}

// TestStray: only I and E that continue no entity of their type are stray.
func TestStray(t *testing.T) {
	labels := []string{"O", "B-a", "I-a", "I-b", "E-a", "S-a"}
	s, _ := NewTagScheme(labels)
	stray := map[string]bool{}
	for before := -1; before < len(labels); before++ {
		for tag, label := range labels {
			if s.Stray(before, tag) {
				from := "start"
				if before >= 0 {
					from = labels[before]
				}
				stray[from+" "+label] = true
			}
		}
	}
	want := map[string]bool{}
	for _, name := range []string{"I-a", "I-b", "E-a"} {
		for _, before := range append(labels, "start") {
			follows := (before == "B-a" || before == "I-a") && name != "I-b" || before == "I-b" && name == "I-b"
			if !follows {
				want[before+" "+name] = true
			}
		}
	}
	if d := cmp.Diff(want, stray); d != "" {
		t.Error(d)
	}
}

func TestTagErrors(t *testing.T) {
	for name, want := range map[string]string{
		"matthews": "metric: evaluate matthews: it does not compare tags of tokens; want accuracy, f1, precision or recall",
		"f1": "metric: evaluate f1: it compares entities, and the labels are not tags of entities such as B-PER, I-PER and " +
			"O; want accuracy",
	} {
		if _, err := NewTagAccumulator([]string{name}, []string{"NOUN", "VERB"}); err == nil || err.Error() != want {
			t.Errorf("error %v; want %s", err, want)
		}
	}
	defer func() {
		if got := recover(); got != (LabelError{Index: 1, Label: 2, Classes: 2}) {
			t.Errorf("panic value %v", got)
		}
	}()
	a, _ := NewTagAccumulator(nil, []string{"O", "B-x"})
	a.Add([]int{0, 0}, []int{0, 2})
}

// TestPairedTags: an evaluation does not differ from itself, and one that finds every entity is better than one that
// finds none. Four sentences have an interval, and no sentence has a score.
func TestPairedTags(t *testing.T) {
	of := func(right bool) *TagAccumulator {
		a, err := NewTagAccumulator(tagMetrics, []string{"B-x", "O"})
		if err != nil {
			t.Fatal(err)
		}
		for name, v := range a.Scores() {
			if !math.IsNaN(v) {
				t.Errorf("%s without sentences is %v", name, v)
			}
		}
		for range 4 {
			pred := []int{1, 0}
			if right {
				pred = []int{0, 1}
			}
			a.Add(pred, []int{0, 1})
		}
		return a
	}
	none, every := of(false), of(true)
	for name, d := range PairedTags(every, every) {
		if d.Value != 0 || d.P != 1 || d.N != 4 {
			t.Errorf("%s of one evaluation twice: %+v", name, d)
		}
	}
	for name, d := range PairedTags(none, every) {
		if d.Value != 1 || d.P != 0 || d.Interval == nil || d.Interval.Low != 1 {
			t.Errorf("%s of everything and nothing: %+v", name, d)
		}
	}
	if i := every.Intervals()["f1"]; i == nil || i.Low != 1 || i.High != 1 {
		t.Errorf("the interval of f1 is %+v", i)
	}
	if m := every.Majority(); m.Class != 0 || m.Scores["recall"] != 1 || m.Scores["precision"] != 0.5 {
		t.Errorf("majority %+v", m)
	}
}
