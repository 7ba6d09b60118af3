package train

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/identity"
	"github.com/lor2c/lor2c/internal/metric"
)

// lossResamples is the number of draws for the difference of losses.
const lossResamples = 2000

// Against returns the differences between this evaluation and another of the same examples, a: for the loss, which is
// the mean over tokens if that of the evaluations is, and for every metric of labels, the value of this evaluation
// minus that of a, with a paired bootstrap over the examples. It returns an error that wraps adapter.ErrMismatch if the
// examples or the order of the classes differ, and one for examples without labels.
func (e *SplitEvaluation) Against(a *SplitEvaluation) (map[string]metric.Difference, error) {
	if err := SameSplit(e.Split, a.Content, e.Content); err != nil {
		return nil, err
	}
	if !slices.Equal(a.Labels, e.Labels) {
		return nil, fmt.Errorf("train: compare: the classes are %q in A and %q in B; want the same classes in the same "+
			"order: %w", a.Labels, e.Labels, adapter.ErrMismatch)
	}
	if a.Scores == nil || e.Scores == nil {
		return nil, fmt.Errorf("train: compare: split %s has examples without labels; want a split with labels", e.Split)
	}
	all := map[string]metric.Difference{}
	if e.Predictions != nil {
		outputs := max(1, len(e.Labels))
		var err error
		all, err = metric.PairedScores(slices.Sorted(maps.Keys(e.Scores)), outputs, a.Predictions, e.Predictions, e.Gold)
		if err != nil {
			return nil, err
		}
	}
	if e.Marks != nil && a.Marks != nil {
		all = metric.PairedSets(a.Marks, e.Marks)
	}
	if e.Tagged != nil && a.Tagged != nil {
		all = metric.PairedTags(a.Tagged, e.Tagged)
	}
	all["loss"] = metric.Paired([]int{len(e.Losses)}, lossResamples, func(drawn []int) float64 {
		return e.meanLoss(drawn) - a.meanLoss(drawn)
	})
	return all, nil
}

// meanLoss returns the loss of the examples with the given indices, weighted as that of the evaluation is.
func (e *Evaluation) meanLoss(indices []int) float64 {
	sum, weights := 0.0, 0.0
	for _, i := range indices {
		sum, weights = sum+e.Weights[i]*e.Losses[i], weights+e.Weights[i]
	}
	return sum / weights
}

// SameSplit returns an error that wraps adapter.ErrMismatch and names the split if two runs, A and B, have different
// examples in it. A split that is not known does not differ.
func SameSplit(name string, a, b identity.Split) error {
	if a == b || a.SHA256 == "" || b.SHA256 == "" {
		return nil
	}
	return fmt.Errorf("train: compare: split %s has %v in A and %v in B; want runs with the same examples in it: %w",
		name, a, b, adapter.ErrMismatch)
}

// Containing returns the run directory of a path that is a run directory or an adapter in one, and the adapter's
// directory. For a run directory the adapter is the one named name.
func Containing(path, name string) (run, dir string, err error) {
	if exists(filepath.Join(path, ConfigFile)) {
		dir, err = AdapterDir(path, name)
		return path, dir, err
	}
	if run = filepath.Dir(filepath.Clean(path)); exists(filepath.Join(run, ConfigFile)) && exists(path) {
		return run, path, nil
	}
	return "", "", fmt.Errorf("train: open %s: it is neither a run directory nor an adapter in one; name a directory "+
		"that lor2c train wrote", path)
}
