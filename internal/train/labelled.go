package train

import (
	"math"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/tape"
)

// classification is the cross-entropy of logits [B,C] against one class for each row.
type classification struct {
	classes int
	entropy compute.CrossEntropyOpts // for the training loss; evaluation uses none of it
	weights []float32                // the class weights in entropy; nil without weights
	labels  []int32                  // reused by upload
}

// Classification returns the objective of choosing one of several classes for
// each sequence. The training loss is that of torch.nn.CrossEntropyLoss with
// the given class weights (nil for none) and label smoothing. The loss of
// evaluations is not weighted.
func Classification(dev compute.Device, classes int, weights []float64, smoothing float64) Objective {
	c := &classification{classes: classes, entropy: compute.CrossEntropyOpts{Smoothing: float32(smoothing)}}
	for _, w := range weights {
		c.weights = append(c.weights, float32(w))
	}
	if weights != nil {
		c.entropy.Classes = dev.Alloc(compute.Shape{len(weights)}, compute.Exact)
		dev.Upload(c.entropy.Classes, c.weights)
	}
	return c
}

func (c *classification) size(b model.Batch) int { return b.Rows() * c.classes }

func (c *classification) upload(dev compute.Device, b model.Batch, training bool) (y targets) {
	if !training {
		return y
	}
	c.labels = c.labels[:0]
	for _, l := range b.Labels {
		c.labels = append(c.labels, int32(l))
	}
	y.labels = dev.Temp(compute.Shape{len(c.labels)}, compute.Int)
	dev.UploadInts(y.labels, c.labels)
	return y
}

// divisor returns the sum of the class weights of all labels, or the number of labels if there are no class weights.
func (c *classification) divisor(micro []model.Batch) (sum float32) {
	for _, b := range micro {
		if c.weights == nil {
			sum += float32(b.Rows())
			continue
		}
		for _, label := range b.Labels {
			sum += c.weights[int(label)]
		}
	}
	return sum
}

func (c *classification) loss(t *tape.Tape, loss compute.Tensor, out *tape.Var, y targets, scale float32) {
	t.CrossEntropy(loss, out, y.labels, scale, c.entropy)
}

func (c *classification) result(_ *tape.Tape, out *tape.Var, _ targets) compute.Tensor {
	return out.Value
}

func (c *classification) tally(metrics []string) (tally, error) {
	return newLabelTally(metrics, c.classes, func(row []float32, label float32) (loss float64, prediction float32) {
		loss, best := crossEntropy(row, int(label))
		return loss, float32(best)
	})
}

// crossEntropy returns the loss of logits against a class, and the class of the largest, the first of several.
func crossEntropy(logits []float32, class int) (loss float64, best int) {
	top, sum := math.Inf(-1), 0.0
	for i, x := range logits {
		top = math.Max(top, float64(x))
		if x > logits[best] {
			best = i
		}
	}
	for _, x := range logits {
		sum += math.Exp(float64(x) - top)
	}
	return math.Log(sum) + top - float64(logits[class]), best
}

func (c *classification) majority(metrics []string, d data) (*metric.Majority, error) {
	return metric.NewMajority(metrics, c.classes, d.Labels)
}

// regression is the squared error of an output [B,1] against one number for each sequence.
type regression struct{}

// Regression returns the objective of predicting a number for each sequence, with the mean squared error as its loss.
func Regression() Objective { return regression{} }

func (regression) size(b model.Batch) int { return b.Len() }

func (regression) upload(dev compute.Device, b model.Batch, training bool) (y targets) {
	if training {
		y.labels = dev.Temp(compute.Shape{len(b.Labels)}, compute.Exact)
		dev.Upload(y.labels, b.Labels)
	}
	return y
}

func (regression) divisor(micro []model.Batch) (sum float32) {
	for _, b := range micro {
		sum += float32(b.Len())
	}
	return sum
}

func (regression) loss(t *tape.Tape, loss compute.Tensor, out *tape.Var, y targets, scale float32) {
	t.MSE(loss, out, y.labels, scale)
}

func (regression) result(_ *tape.Tape, out *tape.Var, _ targets) compute.Tensor { return out.Value }

func (regression) tally(metrics []string) (tally, error) {
	return newLabelTally(metrics, 1, func(row []float32, label float32) (loss float64, prediction float32) {
		return math.Pow(float64(row[0])-float64(label), 2), row[0]
	})
}

func (regression) majority([]string, data) (*metric.Majority, error) { return nil, nil }

// labelTally is the evaluation of an objective with one label for each sequence.
type labelTally struct {
	losses
	outputs     int
	judge       func(row []float32, label float32) (loss float64, prediction float32)
	scores      *metric.Accumulator
	scored      bool // metrics were named
	predictions []float32
	gold        []float32
}

func newLabelTally(
	metrics []string, outputs int, judge func(row []float32, label float32) (loss float64, prediction float32),
) (tally, error) {
	scores, err := metric.NewAccumulator(metrics, outputs)
	if err != nil {
		return nil, err
	}
	return &labelTally{outputs: outputs, judge: judge, scores: scores, scored: len(metrics) > 0}, nil
}

func (l *labelTally) add(values []float32, b model.Batch) {
	l.scores.Add(values, b.Labels)
	for i, label := range b.Labels {
		loss, prediction := l.judge(values[i*l.outputs:(i+1)*l.outputs], label)
		l.losses.add(loss, 1)
		l.predictions, l.gold = append(l.predictions, prediction), append(l.gold, label)
	}
}

func (l *labelTally) evaluation() Evaluation {
	e := Evaluation{
		Loss: l.sum / l.losses.weights, Losses: l.each, Weights: l.weight, Predictions: l.predictions, Gold: l.gold,
		Scores: l.scores.Scores(),
	}
	if l.scored {
		e.Intervals, e.Classes, e.Majority = l.scores.Intervals(), l.scores.ClassReport(), l.scores.Majority()
	}
	return e
}
