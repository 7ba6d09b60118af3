package train

import (
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/tape"
)

// Objective defines what a task does with a network's output: the loss of
// training, and the losses, predictions and scores of an evaluation.
// [Classification], [MultiLabel], [Tagging], [Regression] and [NextToken] return the
// available objectives.
type Objective interface {
	// upload copies the data that the objective needs of b, besides its tokens, to
	// the device, before the first op of a pass. training is false in an
	// evaluation.
	upload(dev compute.Device, b model.Batch, training bool) targets
	// divisor returns the number by which the summed loss of the micro-batches of
	// an optimizer step is divided.
	divisor(micro []model.Batch) float32
	// loss adds scale times the summed loss of the output of a pass to loss [1]. The backward pass starts from it.
	loss(t *tape.Tape, loss compute.Tensor, out *tape.Var, y targets, scale float32)
	// result queues the computation of the values that an evaluation reads back.
	result(t *tape.Tape, out *tape.Var, y targets) compute.Tensor
	// size returns the number of values of result for b.
	size(b model.Batch) int
	// tally returns an empty evaluation with the named metrics. It returns an error for a metric that the objective
	// does not have.
	tally(metrics []string) (tally, error)
	// majority returns the scores of predicting the most frequent label of the examples for each of them, or nil if the
	// objective has no classes.
	majority(metrics []string, d data) (*metric.Majority, error)
}

// targets is the data that an objective has uploaded for one pass.
type targets struct {
	labels  compute.Tensor // one for each row of the output, or for MultiLabel one for each of its elements
	weights compute.Tensor // [rows] Exact: the factors of the rows' losses; absent if they are 1
	ends    []int          // [B]: the number of rows of the output up to the end of each example; nil if each has one
}

// tally collects the results of an evaluation, batch by batch.
type tally interface {
	// add adds the values that result returned for the batch b.
	add(values []float32, b model.Batch)
	// evaluation returns the evaluation of all batches so far. It has no intervals
	// and class reports if no metrics were named.
	evaluation() Evaluation
}

// losses collects the losses of examples. An evaluation reports their mean.
type losses struct {
	each    []float64
	weight  []float64 // of each
	sum     float64   // sum of each loss times its weight
	weights float64
}

func (l *losses) add(loss, weight float64) {
	l.each, l.weight = append(l.each, loss), append(l.weight, weight)
	l.sum += weight * loss
	l.weights += weight
}
