package train

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/optim"
	"github.com/lor2c/lor2c/internal/tape"
)

// bigram is a network without layers that predicts a token from the token
// before it: a row of its output is w times the embedding of the row's token.
type bigram struct {
	model.Network
	table compute.Tensor // [V,C]
	w     *tape.Param    // [C,C]
}

const bigramVocabulary, bigramWidth = 11, 4

func newBigram(dev compute.Device) (bigram, *tape.Param) {
	draw := func(name string, shape ...int) *tape.Param {
		p, values := tape.NewParam(dev, name, true, shape...), make([]float32, compute.Shape(shape).Len())
		compute.Normal(values, 3, name, 0.7)
		p.Upload(dev, values)
		return p
	}
	table, vocabulary := draw("table", bigramVocabulary, bigramWidth), draw("vocabulary", bigramVocabulary, bigramWidth)
	return bigram{table: table.Value, w: draw("w", bigramWidth, bigramWidth)}, vocabulary
}

func (m bigram) Head() []*tape.Param     { return []*tape.Param{m.w} }
func (bigram) Check(b model.Batch) error { return nil }

func (m bigram) NewPass(t *tape.Tape, b model.Batch, h model.Hook) *model.Pass {
	ids := make([]int32, len(b.Read))
	for i, row := range b.Read {
		ids[i] = b.IDs[row]
	}
	on := t.Dev.Temp(compute.Shape{len(ids)}, compute.Int)
	t.Dev.UploadInts(on, ids)
	return &model.Pass{Tape: t, Hook: h, Inputs: []compute.Tensor{on}}
}

func (m bigram) Forward(p *model.Pass) *tape.Var {
	return p.Linear(p.Gather(p.Const(m.table), p.Inputs[0]), m.w, nil, compute.Identity)
}

// plainMethod trains nothing.
type plainMethod struct{ adapter.Plain }

func (plainMethod) Params() []*tape.Param      { return nil }
func (plainMethod) Hook(adapter.At) model.Hook { return model.Base{} }

// lossAt returns the negative log-likelihood of token next after token id, in
// float64.
func (m bigram) lossAt(vocabulary *tape.Param, id, next int32) float64 {
	table, w, v := cpu.Data[float32](m.table), cpu.Data[float32](m.w.Value), cpu.Data[float32](vocabulary.Value)
	logits, sum := make([]float64, bigramVocabulary), 0.0
	for k := range logits {
		for i := range bigramWidth {
			for j := range bigramWidth {
				logits[k] += float64(v[k*bigramWidth+i]) * float64(w[i*bigramWidth+j]) * float64(table[int(id)*bigramWidth+j])
			}
		}
		sum += math.Exp(logits[k])
	}
	return math.Log(sum) - logits[next]
}

// TestNextToken: the loss of a step is the mean over its predicted tokens, or
// the mean over its examples of the mean over the tokens of each, however the
// step is divided into micro-batches. The same holds for an evaluation. An
// example without a predicted token does not count.
func TestNextToken(t *testing.T) {
	first := model.Batch{
		IDs: []int32{1, 2, 3, 4, 5, 6, 7}, Cu: []int32{0, 4, 5, 7}, Read: []int32{0, 1, 2, 5}, Next: []int32{2, 3, 4, 7},
	}
	second := model.Batch{IDs: []int32{8, 9, 10}, Cu: []int32{0, 3}, Read: []int32{1}, Next: []int32{10}}
	both := model.Batch{
		IDs: slices.Concat(first.IDs, second.IDs), Cu: []int32{0, 4, 5, 7, 10},
		Read: []int32{0, 1, 2, 5, 8}, Next: slices.Concat(first.Next, second.Next),
	}
	dev := cpu.Open[float32](2)
	for _, reduction := range []string{ReduceTokens, ReduceExamples} {
		for _, micro := range [][]model.Batch{{both}, {first, second}, {second, first}} {
			t.Run(fmt.Sprintf("reduction=%s/micro=%d", reduction, len(micro)), func(t *testing.T) {
				m, vocabulary := newBigram(dev)
				o := NextToken(vocabulary, reduction)
				s := NewStepper(dev, m, plainMethod{}, optim.Default(), 1, o, 1)
				at := func(id, next int32) float64 { return m.lossAt(vocabulary, id, next) }
				means := []float64{(at(1, 2) + at(2, 3) + at(3, 4)) / 3, at(6, 7), at(9, 10)}
				want := (means[0]*3 + means[1] + means[2]) / 5
				if reduction == ReduceExamples {
					want = (means[0] + means[1] + means[2]) / 3
				}
				tally, err := o.tally([]string{metric.Perplexity})
				if err != nil {
					t.Fatal(err)
				}
				values, err := s.Results(both)
				if err != nil {
					t.Fatal(err)
				}
				tally.add(values, both)
				e := tally.evaluation()
				if !(math.Abs(e.Loss-want) < 1e-6) || !(math.Abs(e.Scores[metric.Perplexity]-math.Exp(want)) < 1e-5) {
					t.Errorf("an evaluation has loss %v and scores %v; want loss %v", e.Loss, e.Scores, want)
				}
				for i, mean := range []float64{means[0], 0, means[1], means[2]} {
					if !(math.Abs(e.Losses[i]-mean) < 1e-6) {
						t.Errorf("example %d has loss %v; want %v", i, e.Losses[i], mean)
					}
				}
				if err := s.Step(1, micro, 1); err != nil {
					t.Fatal(err)
				}
				reports, err := s.Reports(1, 1)
				if err != nil {
					t.Fatal(err)
				}
				if got := reports[0].Loss; !(math.Abs(got-want) < 1e-6) {
					t.Errorf("the loss of a step is %v; want %v", got, want)
				}
			})
		}
	}
	if _, err := NextToken(nil, ReduceTokens).tally([]string{"accuracy"}); err == nil {
		t.Error("accuracy is accepted as a metric of next-token prediction")
	}
}

// TestNextTokenGradient: the gradient of the mean over examples does not depend
// on the division into micro-batches, and agrees with finite differences of the
// loss.
func TestNextTokenGradient(t *testing.T) {
	dev := cpu.Open[float64](1)
	long := model.Batch{IDs: []int32{1, 2, 3, 4}, Cu: []int32{0, 4}, Read: []int32{0, 1, 2}, Next: []int32{2, 3, 4}}
	short := model.Batch{IDs: []int32{8, 9}, Cu: []int32{0, 2}, Read: []int32{0}, Next: []int32{9}}
	for _, reduction := range []string{ReduceTokens, ReduceExamples} {
		t.Run("reduction="+reduction, func(t *testing.T) {
			m, vocabulary := newBigram(dev)
			s := NewStepper(dev, m, plainMethod{}, optim.Default(), 1, NextToken(vocabulary, reduction), 1)
			s.gradient(1, []model.Batch{long, short}, nil)
			got := slices.Clone(cpu.Data[float64](m.w.Grad))
			w := cpu.Data[float64](m.w.Value)
			loss := func() float64 {
				s.gradient(1, []model.Batch{long, short}, nil)
				return cpu.Data[float64](s.loss)[0]
			}
			const h = 1e-5
			for i := range w {
				was := w[i]
				w[i] = was + h
				up := loss()
				w[i] = was - h
				down := loss()
				w[i] = was
				// The factors of rows are rounded to float32.
				if want := (up - down) / (2 * h); !(math.Abs(got[i]-want) < 1e-7) {
					t.Errorf("element %d of the gradient is %v; finite differences give %v", i, got[i], want)
				}
			}
		})
	}
}
