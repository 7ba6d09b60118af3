package train

import (
	"context"
	"fmt"
	"slices"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/model"
)

// Results returns the values that the objective reads back for an evaluation of
// one batch, without dropout: the logits [B, classes], or [R, classes] for the tokens
// that are read, the predicted numbers [B], or the summed losses of the tokens of each
// example [B]. It waits for the
// device, and returns an error if the network cannot process b or the device
// has failed.
func (s *Stepper) Results(b model.Batch) (values []float32, err error) {
	if err := s.Model.Check(b); err != nil {
		return nil, err
	}
	return s.results(b, nil)
}

// results is Results for a batch that was checked. watch, if not nil, is called with the output of every op.
func (s *Stepper) results(b model.Batch, watch func(op, name string, y compute.Tensor)) (values []float32, err error) {
	values = make([]float32, s.Objective.size(b))
	err = guard(func() error {
		s.Dev.Download(values, s.forward(b, watch))
		return nil
	})
	if err == nil {
		err = s.Dev.Err()
	}
	return values, err
}

// Evaluation is the result of evaluating the examples of a split.
type Evaluation struct {
	Loss   float64 // mean over the examples or over their tokens, computed in float64
	Scores metric.Scores
	// Losses has the loss of each example, in the order in which they were given.
	Losses []float64
	// Weights has the weight of each in Loss, such as the number of its tokens that were predicted.
	Weights []float64
	// Predictions are class indices, or the predicted values in regression. Next-token prediction has none.
	Predictions []float32
	// Gold has the labels of the examples, where there are Predictions.
	Gold []float32
	// Sets has the labels that are predicted for each example, in multi-label classification, instead of Predictions.
	Sets [][]int32
	// Marks has Sets with the labels of the data, for [SplitEvaluation.Against].
	Marks *metric.SetAccumulator
	// Tags has the labels that are predicted for the words of each example that have a token, in token classification,
	// instead of Predictions.
	Tags [][]int
	// Tagged has Tags with the labels of the data, for [SplitEvaluation.Against].
	Tagged *metric.TagAccumulator
	// Intervals are bootstrap intervals of Scores over the examples. Intervals,
	// Classes and Majority are nil if no metrics were requested; Classes and Majority
	// are also nil in regression.
	Intervals map[string]*metric.Interval
	Classes   *metric.ClassReport
	Majority  *metric.Majority
}

// evaluate runs the model over the examples of d with the given indices, in the batches
// of t, and computes the loss and the named metrics. It returns an error that
// wraps ErrInterrupted when ctx ends, and a *NonFiniteError at the first batch for
// which the outputs are not all finite.
func (s *Stepper) evaluate(ctx context.Context, d data, indices []int32, metrics []string,
	t config.Train) (e Evaluation, err error) {
	results, err := s.Objective.tally(metrics)
	if err != nil {
		return e, err
	}
	parts := d.Parts(indices, t.EvalBatchSize, t.MicroBatchTokens)
	err = s.each(ctx, d, parts, func(_ []int32, b model.Batch, values []float32) { results.add(values, b) })
	if err != nil {
		return e, err
	}
	return results.evaluation(), nil
}

// each runs the model over batches of examples of d, given by their indices, and calls take with the results of each
// batch. Its errors are those of evaluate.
func (s *Stepper) each(ctx context.Context, d data, batches [][]int32,
	take func(part []int32, b model.Batch, values []float32)) error {
	run := func(i int) (b model.Batch, values []float32, err error) {
		b = d.batch(batches[i])
		if s.Evaluating != nil {
			s.Evaluating(i, len(batches))
		}
		values, err = s.Results(b)
		return b, values, err
	}
	if s.shared != nil && s.shared.group != nil {
		packed := make([]model.Batch, len(batches))
		for i, part := range batches {
			packed[i] = d.batch(part)
		}
		all, err := s.shared.results(s, packed)
		if err != nil {
			return err
		}
		run = func(i int) (model.Batch, []float32, error) { return packed[i], all[i], nil }
	}
	for done, part := range batches {
		if ctx.Err() != nil {
			return fmt.Errorf("train: evaluate: %w after %d of %d batches", ErrInterrupted, done, len(batches))
		}
		b, values, err := run(done)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(values, notFinite) {
			return s.diagnoseEvaluation(b, d.split.Path, d.where(part))
		}
		take(part, b, values)
	}
	if s.Evaluating != nil {
		s.Evaluating(len(batches), len(batches))
	}
	return nil
}

// sequence returns the indices 0 to n-1.
func sequence(n int) []int32 {
	s := make([]int32, n)
	for i := range s {
		s[i] = int32(i)
	}
	return s
}
