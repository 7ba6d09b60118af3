package metric

import (
	"fmt"
	"strings"
)

// Scores maps a metric name to its value; a value may be NaN where the metric
// is undefined.
type Scores map[string]float64

// LabelError is the panic value for a gold label outside 0..Classes-1; Index is
// its place in the batch.
type LabelError struct {
	Index   int
	Label   float32
	Classes int
}

// Error says the label and where it stood.
func (e LabelError) Error() string {
	return fmt.Sprintf("metric: add batch: gold label %v at %d; want a class index below %d", e.Label, e.Index, e.Classes)
}

// Accumulator gathers a model's outputs batch by batch and scores them at the
// end of a pass. It keeps one number per example and side, not the logits.
type Accumulator struct {
	metrics   []Metric
	classes   int
	predClass []int
	goldClass []int
	predValue []float64
	goldValue []float64
}

// NewAccumulator prepares to compute the named metrics for a model with the
// given number of outputs: 1 is regression, 2 or more are classes. It returns
// an error for an unknown metric or one that does not apply to that many
// outputs, so a run can be refused before its first step.
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
		if m.Regression() != (classes == 1) {
			kind, fit := "regression metric", "accuracy, f1 or matthews"
			if classes == 1 {
				kind, fit = "classification metric", "pearson or spearman"
			}
			return nil, fmt.Errorf("metric: evaluate %s: a %s over %d outputs; want %s", name, kind, classes, fit)
		}
		// sklearn refuses a binary average over more classes as well: which
		// class is the positive one would be a guess.
		if name == "f1" && classes > 2 {
			return nil, fmt.Errorf("metric: evaluate f1: defined for two classes here, model has %d; want accuracy or matthews", classes)
		}
		a.metrics = append(a.metrics, m)
	}
	return a, nil
}

// Add takes one batch: pred [B, classes] logits (or [B] values in regression),
// gold [B] class indices (or values). The predicted class is the largest logit,
// the first of several equal ones, and the first NaN if there is one (as in
// numpy.argmax). It panics with a LengthError when the shapes do not fit and
// with a LabelError for a gold label that is no class index, such as the NaN of
// an unlabelled example.
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
		if m.Regression() {
			s[m.Name] = m.Values(a.predValue, a.goldValue)
		} else {
			s[m.Name] = m.Classes(a.predClass, a.goldClass)
		}
	}
	return s
}

// Evaluate scores one set of outputs at once: pred [N, classes] logits or, with
// classes 1, [N] values; gold [N]. Errors are those of NewAccumulator.
func Evaluate(names []string, classes int, pred, gold []float32) (Scores, error) {
	a, err := NewAccumulator(names, classes)
	if err != nil {
		return nil, err
	}
	a.Add(pred, gold)
	return a.Scores(), nil
}

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
