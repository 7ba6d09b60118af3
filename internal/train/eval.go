package train

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/model"
)

// Logits returns the outputs [B, Outputs] of the model with its method for one
// batch, without dropout. It waits for the device, and returns an error if the
// model cannot process b or the device failed.
func (s *Stepper) Logits(b model.Batch) (logits []float32, err error) {
	if err := s.Model.Check(b); err != nil {
		return nil, err
	}
	return s.outputs(b, nil)
}

// outputs is Logits for a batch that was checked. watch, if not nil, is called with
// the output of every op.
func (s *Stepper) outputs(b model.Batch, watch func(op, name string, y compute.Tensor)) (logits []float32, err error) {
	logits = make([]float32, b.Len()*s.Model.Outputs())
	err = guard(func() {
		s.Dev.Download(logits, s.forward(b, watch).Value)
	})
	if err == nil {
		err = s.Dev.Err()
	}
	return logits, err
}

// Evaluation is the result of evaluating the examples of a split.
type Evaluation struct {
	Loss   float64 // mean over the examples, computed in float64
	Scores metric.Scores
	// Losses has the loss of each example, in the order in which they were given.
	Losses []float64
	// Predictions are class indices, or the predicted values in regression.
	Predictions []float32
	// Intervals are bootstrap intervals of Scores over the examples. Intervals,
	// Classes and Majority are nil if no metrics were requested; Classes and Majority
	// are also nil in regression.
	Intervals map[string]*metric.Interval
	Classes   *metric.ClassReport
	Majority  *metric.Majority
}

// evaluate runs the model over the examples of d with the given indices, in batches
// of size, and computes the loss and the named metrics. It returns an error that
// wraps ErrInterrupted when ctx ends, and a *NonFiniteError at the first batch for
// which the outputs are not all finite.
func (s *Stepper) evaluate(ctx context.Context, d data, indices []int32, metrics []string,
	size int) (e Evaluation, err error) {
	outputs := s.Model.Outputs()
	scores, err := metric.NewAccumulator(metrics, outputs)
	if err != nil {
		return e, err
	}
	batches, done := (len(indices)+size-1)/size, 0
	for part := range slices.Chunk(indices, size) {
		if ctx.Err() != nil {
			return e, fmt.Errorf("train: evaluate: %w after %d of %d batches", ErrInterrupted, done, batches)
		}
		if s.Evaluating != nil {
			s.Evaluating(done, batches)
		}
		done++
		b := d.batch(part)
		logits, err := s.Logits(b)
		if err != nil {
			return e, err
		}
		if slices.ContainsFunc(logits, notFinite) {
			return e, s.diagnoseEvaluation(b, d.split.Path, d.where(part))
		}
		scores.Add(logits, b.Labels)
		for i, label := range b.Labels {
			row := logits[i*outputs : (i+1)*outputs]
			e.Losses = append(e.Losses, exampleLoss(row, label))
			e.Loss += e.Losses[len(e.Losses)-1]
			e.Predictions = append(e.Predictions, prediction(row))
		}
	}
	if s.Evaluating != nil {
		s.Evaluating(done, batches)
	}
	e.Loss /= float64(len(indices))
	e.Scores = scores.Scores()
	if len(metrics) > 0 {
		e.Intervals, e.Classes, e.Majority = scores.Intervals(), scores.ClassReport(), scores.Majority()
	}
	return e, nil
}

// exampleLoss returns the cross-entropy of a row of logits, or the squared error if
// the row has a single output.
func exampleLoss(row []float32, label float32) float64 {
	if len(row) == 1 {
		return math.Pow(float64(row[0])-float64(label), 2)
	}
	top, sum := math.Inf(-1), 0.0
	for _, x := range row {
		top = math.Max(top, float64(x))
	}
	for _, x := range row {
		sum += math.Exp(float64(x) - top)
	}
	return math.Log(sum) + top - float64(row[int(label)])
}

// prediction returns the index of the largest logit of a row, or the value itself if
// the row has a single output.
func prediction(row []float32) float32 {
	if len(row) == 1 {
		return row[0]
	}
	best := 0
	for i, x := range row {
		if x > row[best] {
			best = i
		}
	}
	return float32(best)
}

// sequence returns the indices 0 to n-1.
func sequence(n int) []int32 {
	s := make([]int32, n)
	for i := range s {
		s[i] = int32(i)
	}
	return s
}
