package metric

import (
	"fmt"
	"strings"

	"github.com/lor2c/lor2c/internal/place"
)

// Scores maps a metric name to its value. A value is NaN, and null in JSON, if
// the metric is undefined.
type Scores map[string]float64

// LabelError is the panic value for a gold label outside 0..Classes-1. Index is
// its index in the batch.
type LabelError struct {
	Index   int
	Label   float32
	Classes int
}

// Error returns a line with the label and its index.
func (e LabelError) Error() string {
	return fmt.Sprintf("metric: add batch: gold label %v at %d; want a class index below %d", e.Label, e.Index, e.Classes)
}

// Accumulator gathers a model's outputs batch by batch and scores them at the
// end of a pass. It keeps one number for each prediction and one for each gold
// label, not the logits.
type Accumulator struct {
	metrics   []Metric
	classes   int
	predClass []int
	goldClass []int
	predValue []float64
	goldValue []float64
}

// NewAccumulator prepares to compute the named metrics for a model with the
// given number of outputs: 1 means regression, 2 or more are classes. It
// returns an error for an unknown metric and for one that does not apply to
// this number of outputs, so that a run can be refused before its first step.
func NewAccumulator(names []string, classes int) (*Accumulator, error) {
	if classes < 1 {
		return nil, fmt.Errorf("metric: evaluate %s: model has %d outputs; want 1 for regression or 2 and more classes",
			strings.Join(names, ", "), classes)
	}
	a := &Accumulator{classes: classes}
	for _, name := range names {
		m, err := ByName(name)
		if err != nil {
			return nil, err
		}
		kind := Classes
		if classes == 1 {
			kind = Values
		}
		if !m.Fits(kind) {
			return nil, fmt.Errorf("metric: evaluate %s: it is not a metric of %s, and the model has %s; want %s", name, kind,
				place.Count(classes, "output", "outputs"), Fitting(kind))
		}
		// scikit-learn refuses a binary average over more than two classes as
		// well, because nothing says which class is the positive one.
		if name == "f1" && classes > 2 {
			return nil, fmt.Errorf("metric: evaluate f1: it is defined for two classes here, and the model has %d; want "+
				"f1_macro, accuracy or matthews", classes)
		}
		a.metrics = append(a.metrics, m)
	}
	return a, nil
}

// Add adds one batch: pred are logits [B, classes], or values [B] in
// regression, and gold are class indices [B], or values. The predicted class is
// the one with the largest logit. The first of several equal logits counts, and
// the first NaN if there is one (as in numpy.argmax). Add panics with a
// LengthError if the shapes do not fit and with a LabelError for a gold label
// that is not a class index, such as the NaN of an unlabelled example.
func (a *Accumulator) Add(pred, gold []float32) {
	if len(pred) != len(gold)*a.classes {
		panic(LengthError{Pred: len(pred), Gold: len(gold)})
	}
	if a.classes == 1 {
		for i := range gold {
			a.predValue = append(a.predValue, float64(pred[i]))
			a.goldValue = append(a.goldValue, float64(gold[i]))
		}
		return
	}
	for i, g := range gold {
		if !(g >= 0 && g < float32(a.classes)) || g != float32(int(g)) {
			panic(LabelError{Index: i, Label: g, Classes: a.classes})
		}
		a.predClass = append(a.predClass, argmax(pred[i*a.classes:(i+1)*a.classes]))
		a.goldClass = append(a.goldClass, int(g))
	}
}

// Scores computes the metrics over everything added so far.
func (a *Accumulator) Scores() Scores {
	s := Scores{}
	for _, m := range a.metrics {
		s[m.Name] = m.score(a.predClass, a.goldClass, a.predValue, a.goldValue)
	}
	return s
}

// resamples is the number of bootstrap draws of Intervals. With 2000 draws the
// error of a bound is a small part of the interval, and forty thousand examples
// take a second or two.
const resamples = 2000

// Intervals returns a 95 % bootstrap interval over the examples for every
// metric, or nil for a metric for which Bootstrap has none.
func (a *Accumulator) Intervals() map[string]*Interval {
	n := max(len(a.goldClass), len(a.goldValue))
	predClass, goldClass := make([]int, len(a.predClass)), make([]int, len(a.goldClass))
	predValue, goldValue := make([]float64, len(a.predValue)), make([]float64, len(a.goldValue))
	values := make([]float64, len(a.metrics))
	intervals := map[string]*Interval{}
	if n == 0 || len(a.metrics) == 0 {
		return intervals
	}
	found := Bootstrap(n, resamples, func(drawn []int) []float64 {
		for i, j := range drawn {
			if a.classes == 1 {
				predValue[i], goldValue[i] = a.predValue[j], a.goldValue[j]
			} else {
				predClass[i], goldClass[i] = a.predClass[j], a.goldClass[j]
			}
		}
		for i, m := range a.metrics {
			values[i] = m.score(predClass, goldClass, predValue, goldValue)
		}
		return values
	})
	for i, m := range a.metrics {
		intervals[m.Name] = found[i]
	}
	return intervals
}

// ClassReport returns the scores of every class, or nil in regression.
func (a *Accumulator) ClassReport() *ClassReport {
	if a.classes == 1 {
		return nil
	}
	return NewClassReport(a.predClass, a.goldClass, a.classes)
}

// Majority returns the baseline over everything added so far, as NewMajority
// does.
func (a *Accumulator) Majority() *Majority { return majority(a.metrics, a.classes, a.goldClass) }

func argmax(logits []float32) int {
	best := 0
	for k, v := range logits {
		if v != v {
			return k
		}
		if v > logits[best] {
			best = k
		}
	}
	return best
}
