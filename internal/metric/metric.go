// Package metric computes the five scores that GLUE reports on a development
// set: accuracy, F1, Matthews correlation, Pearson correlation and Spearman
// correlation. It also computes macro F1, the scores of sets of labels and of
// tagged sentences, bootstrap intervals of all of them, and scores class by
// class, and it decides how an undefined value is written (see Number).
//
// Definitions are those of scikit-learn (accuracy_score, f1_score,
// matthews_corrcoef), scipy.stats (pearsonr, spearmanr) and, for sentences,
// seqeval, degenerate inputs included; the tests compare against these
// libraries. All sums run in float64.
package metric

import (
	"fmt"
	"math"
	"strings"

	"github.com/lor2c/lor2c/internal/nearest"
)

// Kind is what a model predicts for an example, and what a metric compares.
type Kind string

// These are the kinds of predictions.
const (
	Classes Kind = "classification"             // one of several classes
	Values  Kind = "regression"                 // a real number
	Sets    Kind = "multi-label classification" // any number of labels
	Tags    Kind = "token classification"       // one of several tags for each token of a sentence
)

// Metric is a score with a name. It has a function for each kind of prediction
// that it compares. Classes and Values take two slices of equal length,
// predictions first, and panic with a LengthError if the lengths differ. All of
// them return NaN if there are no examples.
type Metric struct {
	Name    string
	Classes func(pred, gold []int) float64
	Values  func(pred, gold []float64) float64
	Sets    func(*SetCounts) float64
	Tags    func(TagCounts) float64
}

// Fits reports whether the metric compares predictions of the given kind.
func (m Metric) Fits(k Kind) bool {
	switch k {
	case Values:
		return m.Values != nil
	case Sets:
		return m.Sets != nil
	case Tags:
		return m.Tags != nil
	}
	return m.Classes != nil
}

// score computes the metric from classes or from values.
func (m Metric) score(predClass, goldClass []int, predValue, goldValue []float64) float64 {
	if m.Values != nil {
		return m.Values(predValue, goldValue)
	}
	return m.Classes(predClass, goldClass)
}

// LengthError is the panic value for predictions and gold labels of different
// numbers. Pred and Gold are the lengths given.
type LengthError struct{ Pred, Gold int }

// Error returns a line with both lengths.
func (e LengthError) Error() string {
	return fmt.Sprintf("metric: compare predictions to gold labels: lengths %d and %d do not fit", e.Pred, e.Gold)
}

var all = []Metric{
	{Name: "accuracy", Classes: Accuracy, Tags: TokenAccuracy},
	{Name: "f1", Classes: F1, Tags: EntityF1},
	{Name: "f1_macro", Classes: F1Macro, Sets: SetMacroF1},
	{Name: "matthews", Classes: Matthews},
	{Name: "pearson", Values: Pearson},
	{Name: "spearman", Values: Spearman},
	{Name: "f1_micro", Sets: MicroF1},
	{Name: "subset_accuracy", Sets: SubsetAccuracy},
	{Name: "precision", Tags: EntityPrecision},
	{Name: "recall", Tags: EntityRecall},
}

// Names lists every metric name, classification metrics first.
func Names() []string {
	names := make([]string, len(all))
	for i, m := range all {
		names[i] = m.Name
	}
	return names
}

// Fitting lists the metrics that compare predictions of one kind as part of a
// sentence, such as "pearson or spearman".
func Fitting(k Kind) string {
	var names []string
	for _, m := range all {
		if m.Fits(k) {
			names = append(names, m.Name)
		}
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// ByName returns the metric called name. The error for an unknown name lists
// the valid names and suggests the nearest.
func ByName(name string) (Metric, error) {
	for _, m := range all {
		if m.Name == name {
			return m, nil
		}
	}
	hint := ""
	if other, near := nearest.Name(name, Names()); near {
		hint = fmt.Sprintf(" (nearest %q)", other)
	}
	return Metric{}, fmt.Errorf("metric: look up %q: no such metric; want one of %s%s",
		name, strings.Join(Names(), ", "), hint)
}

// Perplexity is the name of the score of next-token prediction, which package train computes. It is e to the power of
// the mean loss.
const Perplexity = "perplexity"

// Merit returns a score of the named metric as a number that is better if it is larger: the negative of a perplexity,
// and any other score itself. No other place decides in which direction a metric improves.
func Merit(name string, score float64) float64 {
	if name == Perplexity {
		return -score
	}
	return score
}

// Better reports whether a is strictly better than b. Both are results of Merit. NaN is worse than any number and not
// better than NaN, so an epoch with an undefined score never replaces one with a defined score.
func Better(a, b float64) bool {
	if math.IsNaN(b) {
		return !math.IsNaN(a)
	}
	return a > b
}
