package metric

import (
	"math"
	"slices"
)

// ClassReport describes the predictions of a classifier class by class, as
// sklearn.metrics.classification_report and confusion_matrix do.
type ClassReport struct {
	Classes []ClassScores `json:"classes"` // by class index
	// Names has the names of Classes if these are types of entities, and is nil
	// if they are the labels.
	Names []string `json:"names,omitempty"`
	// Micro has the scores of all decisions about a label, or of all entities,
	// together. It is nil unless an example can have several.
	Micro *ClassScores `json:"micro,omitempty"`
	// Macro is the unweighted mean over the classes that occur in the gold
	// labels or in the predictions, or over all labels if an example can have
	// any number of them. Weighted is the mean weighted by the number of examples with that
	// gold label.
	Macro    ClassScores `json:"macro"`
	Weighted ClassScores `json:"weighted"`
	// Confusion counts examples by gold class and then by predicted class. It is
	// nil if an example can have several labels or entities.
	Confusion [][]int `json:"confusion,omitempty"`
}

// ClassScores are the scores of one class, or an average over classes.
// Precision is undefined for a class that was never predicted, and recall for a
// class that no example has. Averages count undefined values as 0, as
// scikit-learn does, and leave out only classes that occur on neither side.
type ClassScores struct {
	Precision Number `json:"precision"`
	Recall    Number `json:"recall"`
	F1        Number `json:"f1"`
	Support   int    `json:"support"` // examples with this gold class
}

// NewClassReport compares predicted classes with gold classes, all of which
// must be in 0..classes-1.
func NewClassReport(pred, gold []int, classes int) *ClassReport {
	checkLengths(len(pred), len(gold))
	r := &ClassReport{Confusion: make([][]int, classes)}
	for k := range r.Confusion {
		r.Confusion[k] = make([]int, classes)
	}
	for i, g := range gold {
		r.Confusion[g][pred[i]]++
	}
	for k := range classes {
		predicted := 0
		for _, row := range r.Confusion {
			predicted += row[k]
		}
		hits, actual := r.Confusion[k][k], 0
		for _, n := range r.Confusion[k] {
			actual += n
		}
		r.Classes = append(r.Classes, ClassScores{
			Precision: ratio(hits, predicted), Recall: ratio(hits, actual), F1: ratio(2*hits, predicted+actual), Support: actual,
		})
	}
	occurring := slices.DeleteFunc(slices.Clone(r.Classes), func(c ClassScores) bool { return !c.F1.Defined() })
	r.Macro = average(occurring, func(ClassScores) float64 { return 1 })
	r.Weighted = average(occurring, func(c ClassScores) float64 { return float64(c.Support) })
	return r
}

// ratio returns a/b, which is undefined if b is 0.
func ratio(a, b int) Number { return Number(float64(a) / float64(b)) }

// average returns the weighted mean of each score over classes. An undefined score counts as 0.
func average(classes []ClassScores, weight func(ClassScores) float64) (mean ClassScores) {
	over := func(score func(ClassScores) Number) Number {
		sum, weights := 0.0, 0.0
		for _, c := range classes {
			weights += weight(c)
			if v := score(c); v.Defined() {
				sum += weight(c) * float64(v)
			}
		}
		return Number(sum / weights)
	}
	for _, c := range classes {
		mean.Support += c.Support
	}
	mean.Precision = over(func(c ClassScores) Number { return c.Precision })
	mean.Recall = over(func(c ClassScores) Number { return c.Recall })
	mean.F1 = over(func(c ClassScores) Number { return c.F1 })
	return mean
}

// F1Macro returns the unweighted mean of the F1 of every class that occurs in
// the gold labels or in the predictions (sklearn.metrics.f1_score with
// average="macro").
func F1Macro(pred, gold []int) float64 {
	checkLengths(len(pred), len(gold))
	if len(gold) == 0 {
		return math.NaN()
	}
	classes := 1 + max(slices.Max(pred), slices.Max(gold))
	return float64(NewClassReport(pred, gold, classes).Macro.F1)
}

// Majority is the baseline that needs no model: it always predicts the class
// that most examples have.
type Majority struct {
	Class  int    `json:"class"` // the first one if several are equally frequent
	Count  int    `json:"count"` // examples of the class
	Scores Scores `json:"scores"`
}

// NewMajority returns the baseline that always predicts the most frequent of the
// gold labels [N], with its scores by the named metrics. It returns nil for
// regression (classes is 1) and if there are no examples. Errors are those of
// NewAccumulator; a label that is not a class index panics as in Add.
func NewMajority(names []string, classes int, gold []float32) (*Majority, error) {
	a, err := NewAccumulator(names, classes)
	if err != nil || classes == 1 {
		return nil, err
	}
	a.Add(make([]float32, len(gold)*classes), gold)
	return a.Majority(), nil
}

func majority(metrics []Metric, classes int, gold []int) *Majority {
	if len(gold) == 0 {
		return nil
	}
	counts := make([]int, classes)
	for _, g := range gold {
		counts[g]++
	}
	m := &Majority{Count: slices.Max(counts), Scores: Scores{}}
	m.Class = slices.Index(counts, m.Count)
	always := slices.Repeat([]int{m.Class}, len(gold))
	for _, one := range metrics {
		m.Scores[one.Name] = one.Classes(always, gold)
	}
	return m
}
