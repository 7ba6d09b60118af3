package train

import (
	"fmt"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/dataset"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/place"
)

// classWeights returns the factors of train.class_weights by which the loss of each
// class is multiplied, in the order of the labels, or nil if the key is not set. The
// balanced weight of a class with k of n examples, among C classes, is n/(C k), as in
// scikit-learn's compute_class_weight. It returns a *config.Error if train.class_weights
// or train.label_smoothing does not fit the data.
func (s *Session) classWeights(d data) ([]float64, error) {
	t, labels := s.Config.Train, s.Set.Task.Labels
	fault := func(format string, a ...any) ([]float64, error) {
		return nil, &config.Error{Faults: []error{fmt.Errorf("train: plan the loss: "+format, a...)}}
	}
	if why := s.Config.Method.NeedsSequences(); s.Set.Task.Kind == dataset.Tokens && why != "" {
		return fault("data.kind is tokens, and %s", why)
	}
	switch {
	case s.Set.Task.Kind == dataset.MultiLabel && len(t.ClassWeights) > 0:
		return fault("train.class_weights is set, and data.kind is multilabel, in which every label is a question by " +
			"itself; leave it out")
	case s.Set.Task.Kind == dataset.MultiLabel && t.LabelSmoothing > 0:
		return fault("train.label_smoothing is %v, and data.kind is multilabel; set it to 0", t.LabelSmoothing)
	case labels == nil && len(t.ClassWeights) > 0:
		return fault("train.class_weights is set, and the labels are numbers; leave it out, or set data.kind: " +
			"classification")
	case labels == nil && t.LabelSmoothing > 0:
		return fault("train.label_smoothing is %v, and the labels are numbers; set it to 0, or set data.kind: "+
			"classification",
			t.LabelSmoothing)
	case !t.Balanced():
		w := t.Weights()
		if w != nil && len(w) != len(labels) {
			return fault("train.class_weights has %s, and there are %d labels; give one number for each of %s",
				place.Count(len(w), "number", "numbers"), len(labels), place.List(labels))
		}
		return w, nil
	}
	counts := make([]int, len(labels))
	for _, label := range d.Labels {
		counts[int(label)]++
	}
	weights := make([]float64, len(labels))
	for c, n := range counts {
		if n == 0 {
			return fault("train.class_weights is balanced, and %s has no example of label %s; "+
				"add one, or set a number for each label", d.split.Path, place.Quote(labels[c]))
		}
		weights[c] = float64(len(d.Labels)) / float64(len(labels)*n)
	}
	return weights, nil
}

// objective returns the objective of the task, with class weights from classWeights in the training loss.
func (s *Session) objective(dev compute.Device, m model.Network, weights []float64) Objective {
	if causal, ok := m.(model.Causal); ok {
		return NextToken(causal.Vocabulary(), s.Config.Train.Reduction)
	}
	switch task := s.Set.Task; {
	case task.Labels == nil:
		return Regression()
	case task.Kind == dataset.MultiLabel:
		return MultiLabel(task.Outputs(), task.Threshold)
	case task.Kind == dataset.Tokens:
		return Tagging(dev, task.Labels, weights, s.Config.Train.LabelSmoothing)
	}
	return Classification(dev, s.Set.Task.Outputs(), weights, s.Config.Train.LabelSmoothing)
}
