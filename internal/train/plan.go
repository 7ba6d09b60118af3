package train

import (
	"fmt"
	"slices"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/compute/nulldev"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/dataset"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/place"
)

// Plan is the memory in bytes that a run needs, computed before its first step.
type Plan struct {
	Weights int64 // frozen weights
	Trained int64 // all other persistent memory: trainable parameters, gradients, moments, and reports of steps
	Arena   int64 // activations of the micro-batch with the most tokens
	Tokens  int   // number of tokens of that micro-batch
	// Examples is the largest number of examples in a micro-batch.
	Examples int
	// Parameters, Gradients and Moments are parts of Trained: the values of the trained parameters, in every type in
	// which the device has them, their gradients, and AdamW's moments. The rest is what the method keeps besides.
	Parameters, Gradients, Moments int64
	// Evaluation says that an evaluation needs more activations than training.
	Evaluation bool
	// Adapter and Head are the numbers of scalars of the method and of the head.
	Adapter, Head int
	// Saved is the size of the tensors of an adapter directory in bytes, and Continued that of the tensors that a
	// checkpoint has besides, to continue the run.
	Saved, Continued int64
}

// Total returns the sum of weights, trained state and activations.
func (p Plan) Total() int64 { return p.Weights + p.Trained + p.Arena }

// plan computes how much memory the run needs on device `on`, with the method
// that settings describe. It runs the largest micro-batch of training, of
// evaluation and of what-if trials on a device that only counts memory.
func (s *Session) plan(on compute.Device, train, dev data, settings adapter.Settings) (Plan, error) {
	tokens, examples := s.fullest(train)
	return s.planBatch(on, train, dev, settings, tokens, examples)
}

// planBatch is plan for a largest micro-batch of training with the given numbers of tokens and examples.
func (s *Session) planBatch(on compute.Device, train, dev data, settings adapter.Settings,
	tokens, examples int) (Plan, error) {
	c := s.Config
	null := nulldev.Like(on)
	m, err := s.newModel(null)
	if err != nil {
		return Plan{}, err
	}
	if c.Train.Quantize == config.QuantizeNF4 {
		model.PlanQuantize(null, m)
	}
	method, err := adapter.Attach(null, m, settings)
	if err != nil {
		// The device that only counts memory does not fail, so a setting does not suit the model.
		return Plan{}, place.Mistake(err)
	}
	if adapter.Count(method.Params())+adapter.Count(m.Head()) == 0 {
		return Plan{}, place.Mistake(fmt.Errorf("train: attach %s: it trains nothing of this model, which has no "+
			"classification head and none of the parameters that the method trains; want another method", c.Method.Name()))
	}
	var weights []float64
	if len(c.Train.ClassWeights) > 0 {
		weights = make([]float64, s.Set.Task.Outputs())
	}
	timetable := newTimetable(c, train.Len())
	st := NewStepper(null, m, method, c.Optim, c.Seed, s.objective(null, m, weights), timetable.reportSlots())
	p := Plan{Tokens: tokens, Examples: examples}
	for _, w := range m.Base() {
		if !w.Trains() {
			if w.Value.DType == compute.NF4 {
				p.Weights += compute.NF4Bytes(int64(w.Value.Shape.Len()))
			} else {
				p.Weights += int64(w.Value.Shape.Len()) * null.Bytes(w.Storage)
			}
		}
	}
	if c.Train.LogGradients {
		newGradientSums(st)
	}
	p.Trained = null.Stats().PersistentBytes - p.Weights
	p.count(null, st)
	for _, b := range s.planned(tokens, examples) {
		st.gradient(1, []model.Batch{b}, nil)
	}
	training := null.Stats().ArenaPeak
	most, batch := widest(sequence(dev.Len()), dev, c.Train.EvalBatchSize, c.Train.MicroBatchTokens)
	// A what-if trial has one module less than the method, or a longer one, so it
	// needs at most as much memory as the method with the same batch.
	trial, each := widest(s.sample(dev.Len()), dev, c.Train.EvalBatchSize, c.Train.MicroBatchTokens)
	for _, b := range s.planned(max(most, trial), max(batch, each)) {
		st.forward(b, nil)
	}
	p.Evaluation = null.Stats().ArenaPeak > training
	p.Arena = null.Arena()
	return p, nil
}

// count sets the parts of p.Trained, and the sizes of the tensors in files.
func (p *Plan) count(dev compute.Device, s *Stepper) {
	trained := int64(adapter.Count(s.Opt.Params()))
	exact := dev.Bytes(compute.Exact)
	p.Parameters, p.Gradients, p.Moments = trained*exact, trained*exact, 2*trained*exact
	if compute.Narrow(dev) {
		p.Parameters += trained * dev.Bytes(compute.Working)
	}
	p.Adapter, p.Head = adapter.Count(s.Method.Params()), adapter.Count(s.Model.Head())
	p.Saved = adapter.SavedBytes(s.Method, s.Model.Head())
	p.Continued = 4 * (2*trained + int64(adapter.Count(s.Method.State())))
}

// sample returns the indices of the dev examples, of n, that what-if trials
// use.
func (s *Session) sample(n int) []int32 {
	order := dataset.Order(s.Config.Seed, 0, n)
	return order[:min(s.Config.Schedule.WhatIf, n)]
}

// fullest returns the largest number of tokens and the largest number of examples of a
// micro-batch over all epochs.
func (s *Session) fullest(d data) (tokens, examples int) {
	t := s.Config.Train
	_, epochs := t.Extent(stepsPerEpoch(d.Len(), t.BatchSize))
	epochs += t.AddedEpochs()
	if epochs > mostVisits/max(1, d.Len()) {
		return s.longestMicro(d)
	}
	for epoch := range epochs {
		order := s.source.order(epoch, d.Len())
		for at := 0; at < len(order); at += t.BatchSize {
			n, b := widest(order[at:min(at+t.BatchSize, len(order))], d, t.MicroBatchSize, t.MicroBatchTokens)
			tokens, examples = max(tokens, n), max(examples, b)
		}
	}
	return tokens, examples
}

// mostVisits is the largest number of examples that fullest visits, which takes about
// a second.
const mostVisits = 1 << 25

// longestMicro returns the number of tokens that a micro-batch of the longest examples
// has, and the most examples of a micro-batch. They are upper bounds of those of
// fullest, found without visiting the batches of all epochs.
func (s *Session) longestMicro(d data) (tokens, examples int) {
	t := s.Config.Train
	byLength := sequence(d.Len())
	slices.SortFunc(byLength, func(a, b int32) int { return d.Tokens(a) - d.Tokens(b) })
	examples = min(t.MicroBatchSize, len(byLength))
	tokens, _ = widest(byLength[len(byLength)-examples:], d, examples, 0)
	if limit := t.MicroBatchTokens; limit > 0 {
		tokens = min(tokens, max(limit, d.longest()))
		examples = len(d.Parts(byLength, examples, limit)[0])
	}
	return tokens, examples
}

// widest returns the largest number of tokens and of examples of a batch, when the
// examples of order are packed in batches of at most size examples and, if it is not 0,
// limit tokens.
func widest(order []int32, d data, size, limit int) (tokens, examples int) {
	for _, part := range d.Parts(order, size, limit) {
		n := 0
		for _, i := range part {
			n += d.Tokens(i)
		}
		tokens, examples = max(tokens, n), max(examples, len(part))
	}
	return tokens, examples
}

// planned returns batches with the given numbers of tokens and examples, one of which needs as much memory as any batch
// with these numbers or fewer examples. The batches of a decoder, and of sentences whose words have tags, differ in how
// many tokens are predicted: if they are almost all, tensors of the two sizes can share a block of the arena, and if
// they are fewer, they cannot. At least one token of an example is never predicted, so the most are predicted if the
// batch is one example.
func (s *Session) planned(tokens, examples int) []model.Batch {
	all := evenBatch(tokens, examples)
	tags := s.Set.Task.Kind == dataset.Tokens
	if s.Model.decoder == nil && !tags {
		return []model.Batch{all}
	}
	var batches []model.Batch
	for _, all := range []model.Batch{all, evenBatch(tokens, 1)} {
		for part := 16; part <= 32; part++ {
			b := model.Batch{IDs: all.IDs, Types: all.Types, Cu: all.Cu}
			for i := range b.Len() {
				last := b.Cu[i] + (b.Cu[i+1]-b.Cu[i])*int32(part)/32
				for t := b.Cu[i]; t+1 < last; t++ {
					b.Read = append(b.Read, t)
					if tags {
						b.Labels = append(b.Labels, 0)
					} else {
						b.Next = append(b.Next, 0)
					}
				}
			}
			batches = append(batches, b)
		}
	}
	return batches
}

// evenBatch returns a batch with the given numbers of tokens and examples, which are
// all that a plan depends on.
func evenBatch(tokens, examples int) model.Batch {
	b := model.Batch{
		IDs: make([]int32, tokens), Types: make([]int32, tokens), Cu: []int32{0}, Labels: make([]float32, examples),
	}
	for i := range examples {
		b.Cu = append(b.Cu, int32(tokens*(i+1)/examples))
	}
	return b
}
