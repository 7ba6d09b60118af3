package train

import (
	"fmt"
	"iter"
	"math"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/tape"
)

// These are the ways of averaging the losses of tokens.
const (
	// ReduceTokens is the mean over all predicted tokens of an optimizer step or an evaluation.
	ReduceTokens = config.ReduceTokens
	// ReduceExamples is the mean over the examples of the mean over the tokens of each.
	ReduceExamples = config.ReduceExamples
)

// nextToken is the cross-entropy of the tokens that follow the rows that a batch reads.
type nextToken struct {
	vocabulary *tape.Param // [V,C]
	reduction  string
	factors    []float32 // reused by upload
}

// NextToken returns the objective of predicting the token after each row that a batch reads. vocabulary [V,C] gives the
// logits of a row of the network's output, and reduction is ReduceTokens or ReduceExamples.
func NextToken(vocabulary *tape.Param, reduction string) Objective {
	return &nextToken{vocabulary: vocabulary, reduction: reduction}
}

// rows returns the number of rows for which logits are computed at a time.
func (n *nextToken) rows() int { return tape.LogitRows(n.vocabulary.Value.Shape[0]) }

func (n *nextToken) upload(dev compute.Device, b model.Batch, training bool) targets {
	y := targets{labels: dev.Temp(compute.Shape{len(b.Next)}, compute.Int), ends: b.Ends()}
	dev.UploadInts(y.labels, b.Next)
	if !training || n.reduction == ReduceTokens {
		return y
	}
	n.factors = n.factors[:0]
	for _, tokens := range counts(y.ends) {
		for range tokens {
			n.factors = append(n.factors, 1/float32(tokens))
		}
	}
	y.weights = dev.Temp(compute.Shape{len(n.factors)}, compute.Exact)
	dev.Upload(y.weights, n.factors)
	return y
}

// divisor returns the number of predicted tokens, or of the examples that have any.
func (n *nextToken) divisor(micro []model.Batch) (sum float32) {
	for _, b := range micro {
		if n.reduction == ReduceTokens {
			sum += float32(len(b.Next))
			continue
		}
		for _, tokens := range counts(b.Ends()) {
			if tokens > 0 {
				sum++
			}
		}
	}
	return sum
}

// counts returns how many tokens of each example are predicted, by its index. ends are as from model.Batch.Ends.
func counts(ends []int) iter.Seq2[int, int] {
	return func(yield func(int, int) bool) {
		start := 0
		for i, end := range ends {
			if !yield(i, end-start) {
				return
			}
			start = end
		}
	}
}

func (n *nextToken) loss(t *tape.Tape, loss compute.Tensor, out *tape.Var, y targets, scale float32) {
	t.LMHead(loss, out, n.vocabulary, y.labels, scale, n.rows(), compute.CrossEntropyOpts{Rows: y.weights})
}

func (n *nextToken) size(b model.Batch) int { return b.Len() }

// result returns the summed loss of the tokens of each example.
func (n *nextToken) result(t *tape.Tape, out *tape.Var, y targets) compute.Tensor {
	sums := t.Dev.Temp(compute.Shape{len(y.ends)}, compute.Exact)
	t.Dev.Fill(sums, 0)
	t.LMLosses(sums, out, n.vocabulary, y.labels, y.ends, n.rows())
	return sums
}

func (n *nextToken) tally(metrics []string) (tally, error) {
	for _, name := range metrics {
		if name != metric.Perplexity {
			return nil, fmt.Errorf("train: evaluate %s: next-token prediction has no such metric; want %s", name,
				metric.Perplexity)
		}
	}
	return &tokenTally{reduction: n.reduction, scored: len(metrics) > 0}, nil
}

func (n *nextToken) majority([]string, data) (*metric.Majority, error) { return nil, nil }

// tokenTally is the evaluation of next-token prediction. The loss of an example is the mean over its tokens.
type tokenTally struct {
	losses
	reduction string
	scored    bool
}

func (k *tokenTally) add(sums []float32, b model.Batch) {
	for i, tokens := range counts(b.Ends()) {
		n := float64(tokens)
		weight := n
		if k.reduction == ReduceExamples {
			weight = min(n, 1)
		}
		k.losses.add(float64(sums[i])/max(n, 1), weight)
	}
}

func (k *tokenTally) evaluation() Evaluation {
	e := Evaluation{Loss: k.sum / k.losses.weights, Losses: k.each, Weights: k.weight, Scores: metric.Scores{}}
	if !k.scored {
		return e
	}
	e.Scores[metric.Perplexity] = math.Exp(e.Loss)
	return e
}
