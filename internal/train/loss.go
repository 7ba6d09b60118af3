package train

import (
	"fmt"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/place"
)

// classWeights returns what train.class_weights multiplies the loss of each
// class by, in the order of the labels; nil where it is not set. Balanced
// weights are n/(C count), n examples of C classes, as scikit-learn's
// compute_class_weight has them. The fault of a setting that the data has no use
// for is a *config.Error.
func (s *Session) classWeights(d data) ([]float64, error) {
	t, labels := s.Config.Train, s.Set.Task.Labels
	refuse := func(format string, a ...any) ([]float64, error) {
		return nil, &config.Error{Faults: []error{fmt.Errorf("train: plan the loss: "+format, a...)}}
	}
	switch {
	case labels == nil && len(t.ClassWeights) > 0:
		return refuse("train.class_weights is set, and the labels are numbers; want it without, or data.kind: classification")
	case labels == nil && t.LabelSmoothing > 0:
		return refuse("train.label_smoothing is %v, and the labels are numbers; want 0, or data.kind: classification",
			t.LabelSmoothing)
	case !t.Balanced():
		w := t.Weights()
		if w != nil && len(w) != len(labels) {
			return refuse("train.class_weights has %d numbers, and there are %d labels; want one for each of %s",
				len(w), len(labels), place.List(labels))
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
			return refuse("train.class_weights is balanced, and %s has no example of label %s; "+
				"want one at least, or a number for each label", d.split.Path, place.Quote(labels[c]))
		}
		weights[c] = float64(d.Len()) / float64(len(labels)*n)
	}
	return weights, nil
}

// Weigh changes the loss of training to that of torch.nn.CrossEntropyLoss with
// these weights of the classes, nil for none, and this label smoothing.
func (s *Stepper) Weigh(classes []float64, smoothing float64) {
	s.entropy = compute.CrossEntropyOpts{Smoothing: float32(smoothing)}
	s.classes = nil
	for _, w := range classes {
		s.classes = append(s.classes, float32(w))
	}
	if classes != nil {
		s.entropy.Classes = s.Dev.Alloc(compute.Shape{len(classes)}, compute.Exact)
		s.Dev.Upload(s.entropy.Classes, s.classes)
	}
}

// weight returns what the loss of the labels of micro-batches is divided by: the
// sum of the weights of their classes, which is how many there are without.
func (s *Stepper) weight(micro []model.Batch) (sum float32) {
	for _, b := range micro {
		if s.classes == nil {
			sum += float32(b.Len())
			continue
		}
		for _, label := range b.Labels {
			sum += s.classes[int(label)]
		}
	}
	return sum
}
