package metric

import (
	"fmt"
	"math"
)

// SetCounts compares sets of labels: those that a multi-label classifier predicts for each example, and those of the
// data.
type SetCounts struct {
	// Right, Extra and Missed count, for each label, the examples that have it in both sets, only in the prediction,
	// and only in the data: true positives, false positives and false negatives.
	Right, Extra, Missed []int
	Exact                int // examples whose two sets are equal
	Examples             int
}

// f1 returns 2tp/(2tp+fp+fn), or 0 if no set has the label.
func f1(right, extra, missed int) float64 {
	if right+extra+missed == 0 {
		return 0
	}
	return 2 * float64(right) / float64(2*right+extra+missed)
}

// MicroF1 returns the F1 of all decisions about a label of an example together
// (sklearn.metrics.f1_score of indicator matrices with average="micro", zero_division=0).
func MicroF1(c *SetCounts) float64 {
	if c.Examples == 0 {
		return math.NaN()
	}
	right, extra, missed := 0, 0, 0
	for k := range c.Right {
		right, extra, missed = right+c.Right[k], extra+c.Extra[k], missed+c.Missed[k]
	}
	return f1(right, extra, missed)
}

// SetMacroF1 returns the unweighted mean of the F1 of every label, in which a label that no set has counts as 0
// (sklearn.metrics.f1_score of indicator matrices with average="macro", zero_division=0).
func SetMacroF1(c *SetCounts) float64 {
	if c.Examples == 0 {
		return math.NaN()
	}
	sum := 0.0
	for k := range c.Right {
		sum += f1(c.Right[k], c.Extra[k], c.Missed[k])
	}
	return sum / float64(len(c.Right))
}

// SubsetAccuracy returns the share of examples for which exactly the labels of the data are predicted
// (sklearn.metrics.accuracy_score of indicator matrices).
func SubsetAccuracy(c *SetCounts) float64 { return float64(c.Exact) / float64(c.Examples) }

// SetAccumulator gathers the predictions of a multi-label classifier batch by batch and scores them at the end of a
// pass. It keeps the labels of each example that either set has.
type SetAccumulator struct {
	metrics []Metric
	labels  int
	marks   [][]mark // of each example
}

// mark is a label that an example has in the prediction, in the data, or in both.
type mark struct {
	label           int32
	predicted, gold bool
}

// NewSetAccumulator prepares to compute the named metrics for a number of labels. It returns an error for an unknown
// metric and for one that does not compare sets of labels.
func NewSetAccumulator(names []string, labels int) (*SetAccumulator, error) {
	a := &SetAccumulator{labels: labels}
	for _, name := range names {
		m, err := ByName(name)
		if err != nil {
			return nil, err
		}
		if !m.Fits(Sets) {
			return nil, fmt.Errorf("metric: evaluate %s: it does not compare sets of labels; want %s", name, Fitting(Sets))
		}
		a.metrics = append(a.metrics, m)
	}
	return a, nil
}

// Add adds one batch: pred and gold say for each of B examples and each label whether the example has it, [B, labels].
// Add panics with a LengthError if the lengths do not fit.
func (a *SetAccumulator) Add(pred, gold []bool) {
	if len(pred) != len(gold) || len(gold)%a.labels != 0 {
		panic(LengthError{Pred: len(pred), Gold: len(gold)})
	}
	for start := 0; start < len(gold); start += a.labels {
		var marks []mark
		for k := range a.labels {
			if p, g := pred[start+k], gold[start+k]; p || g {
				marks = append(marks, mark{int32(k), p, g})
			}
		}
		a.marks = append(a.marks, marks)
	}
}

// counts returns the counts over the examples with the given indices, which may repeat.
func (a *SetAccumulator) counts(c *SetCounts, examples []int) {
	if c.Right == nil {
		c.Right, c.Extra, c.Missed = make([]int, a.labels), make([]int, a.labels), make([]int, a.labels)
	}
	clear(c.Right)
	clear(c.Extra)
	clear(c.Missed)
	c.Exact, c.Examples = 0, len(examples)
	for _, i := range examples {
		exact := true
		for _, m := range a.marks[i] {
			switch {
			case m.predicted && m.gold:
				c.Right[m.label]++
				continue
			case m.predicted:
				c.Extra[m.label]++
			default:
				c.Missed[m.label]++
			}
			exact = false
		}
		if exact {
			c.Exact++
		}
	}
}

// all returns the counts over all examples.
func (a *SetAccumulator) all() *SetCounts {
	c, every := &SetCounts{}, make([]int, len(a.marks))
	for i := range every {
		every[i] = i
	}
	a.counts(c, every)
	return c
}

func (a *SetAccumulator) values(c *SetCounts) []float64 {
	values := make([]float64, len(a.metrics))
	for i, m := range a.metrics {
		values[i] = m.Sets(c)
	}
	return values
}

// Scores computes the metrics over everything added so far.
func (a *SetAccumulator) Scores() Scores {
	s := Scores{}
	for i, v := range a.values(a.all()) {
		s[a.metrics[i].Name] = v
	}
	return s
}

// Intervals returns a 95 % bootstrap interval over the examples for every metric, or nil for a metric for which
// Bootstrap has none.
func (a *SetAccumulator) Intervals() map[string]*Interval {
	intervals := map[string]*Interval{}
	if len(a.marks) == 0 || len(a.metrics) == 0 {
		return intervals
	}
	var c SetCounts
	found := Bootstrap(len(a.marks), resamples, func(drawn []int) []float64 {
		a.counts(&c, drawn)
		return a.values(&c)
	})
	for i, m := range a.metrics {
		intervals[m.Name] = found[i]
	}
	return intervals
}

// Report returns the scores of every label and their averages, as sklearn.metrics.classification_report of indicator
// matrices has them. There is no confusion matrix, because a label is not predicted in place of another.
func (a *SetAccumulator) Report() *ClassReport {
	c, r := a.all(), &ClassReport{}
	right, extra, missed := 0, 0, 0
	for k := range a.labels {
		r.Classes = append(r.Classes, setScores(c.Right[k], c.Extra[k], c.Missed[k]))
		right, extra, missed = right+c.Right[k], extra+c.Extra[k], missed+c.Missed[k]
	}
	micro := setScores(right, extra, missed)
	r.Micro = &micro
	r.Macro = average(r.Classes, func(ClassScores) float64 { return 1 })
	r.Weighted = average(r.Classes, func(c ClassScores) float64 { return float64(c.Support) })
	return r
}

func setScores(right, extra, missed int) ClassScores {
	return ClassScores{Precision: ratio(right, right+extra), Recall: ratio(right, right+missed),
		F1: ratio(2*right, 2*right+extra+missed), Support: right + missed}
}
