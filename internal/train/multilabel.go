package train

import (
	"math"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/tape"
)

// multiLabel is the binary cross-entropy of logits [B,C] against 0 or 1 for each sequence and each label.
type multiLabel struct {
	labels    int
	threshold float64
}

// MultiLabel returns the objective of deciding for each sequence and each of several labels whether the sequence has
// the label. The loss is that of torch.nn.BCEWithLogitsLoss, the mean over sequences and labels, as in transformers
// with problem_type multi_label_classification. A label is predicted if its probability, the logistic function of its
// logit, is at least the threshold.
func MultiLabel(labels int, threshold float64) Objective { return multiLabel{labels, threshold} }

func (m multiLabel) size(b model.Batch) int { return b.Len() * m.labels }

func (m multiLabel) upload(dev compute.Device, b model.Batch, training bool) (y targets) {
	if training {
		y.labels = dev.Temp(compute.Shape{b.Len(), m.labels}, compute.Exact)
		dev.Upload(y.labels, b.Labels)
	}
	return y
}

func (m multiLabel) divisor(micro []model.Batch) (sum float32) {
	for _, b := range micro {
		sum += float32(b.Len() * m.labels)
	}
	return sum
}

func (m multiLabel) loss(t *tape.Tape, loss compute.Tensor, out *tape.Var, y targets, scale float32) {
	t.BinaryCrossEntropy(loss, out, y.labels, scale)
}

func (m multiLabel) result(_ *tape.Tape, out *tape.Var, _ targets) compute.Tensor { return out.Value }

func (m multiLabel) tally(metrics []string) (tally, error) {
	scores, err := metric.NewSetAccumulator(metrics, m.labels)
	return &setTally{multiLabel: m, scores: scores, scored: len(metrics) > 0}, err
}

// majority returns no baseline: the most frequent set of labels is usually the empty one, which has an F1 of 0.
func (m multiLabel) majority([]string, data) (*metric.Majority, error) { return nil, nil }

// setTally is the evaluation of multi-label classification. The loss of an example is the mean over its labels.
type setTally struct {
	multiLabel
	losses
	scores *metric.SetAccumulator
	scored bool // metrics were named
	sets   [][]int32
}

func (s *setTally) add(values []float32, b model.Batch) {
	predicted, gold := make([]bool, len(values)), make([]bool, len(values))
	for start := 0; start < len(values); start += s.labels {
		set, sum := []int32{}, 0.0
		for k := range s.labels {
			x, y := float64(values[start+k]), float64(b.Labels[start+k])
			sum += math.Max(x, 0) - x*y + math.Log1p(math.Exp(-math.Abs(x)))
			gold[start+k] = y == 1
			if predicted[start+k] = Logistic(x) >= s.threshold; predicted[start+k] {
				set = append(set, int32(k))
			}
		}
		s.losses.add(sum/float64(s.labels), 1)
		s.sets = append(s.sets, set)
	}
	s.scores.Add(predicted, gold)
}

func (s *setTally) evaluation() Evaluation {
	e := Evaluation{Loss: s.sum / s.weights, Losses: s.each, Weights: s.weight, Sets: s.sets, Marks: s.scores,
		Scores: s.scores.Scores()}
	if s.scored {
		e.Intervals, e.Classes = s.scores.Intervals(), s.scores.Report()
	}
	return e
}

// Logistic returns 1/(1+exp(-x)), the probability of a logit.
func Logistic(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
