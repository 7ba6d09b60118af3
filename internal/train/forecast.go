package train

import (
	"context"
	"slices"
	"time"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/schedule"
)

// Forecast is what a run will need and do, found without beginning it.
type Forecast struct {
	Out       string         `json:"out"`
	Continues bool           `json:"continues"` // the directory has a run, which lor2c train would continue
	Method    string         `json:"method"`
	Task      string         `json:"task"`
	Device    string         `json:"device"`
	Memory    MemoryForecast `json:"memory"`
	Disk      DiskForecast   `json:"disk"`
	Work      WorkForecast   `json:"work"`
	// Time is nil if the run does not fit into memory.
	Time   *TimeForecast `json:"time"`
	Budget *Choice       `json:"budget,omitempty"`
	Notes  []string      `json:"notes"` // warnings about the length of the run
}

// MemoryForecast is the plan of the device's memory in bytes. The arena of weights is Weights, that of trained state is
// the sum of Parameters to Other, and that of activations is Activations.
type MemoryForecast struct {
	Weights     int64 `json:"frozen_weights"`
	Parameters  int64 `json:"trained_parameters"`
	Gradients   int64 `json:"gradients"`
	Moments     int64 `json:"moments"`
	Other       int64 `json:"other"` // the method's buffers and the reports of steps
	Activations int64 `json:"activations"`
	Total       int64 `json:"total"`
	Free        int64 `json:"free"` // 0 if the device does not know it
	Fits        bool  `json:"fits"`
	// Evaluation reports whether the largest activations are those of an evaluation.
	Evaluation bool `json:"evaluation_needs_most"`
	// Examples and Tokens are those of the largest micro-batch of the run. Largest is how many of the longest training
	// examples fit into one micro-batch; 0 if not even one does, and nil if the free memory is not known.
	Examples int  `json:"micro_batch_examples"`
	Tokens   int  `json:"micro_batch_tokens"`
	Largest  *int `json:"largest_micro_batch"`
	// Changes are the three that change the results least with which a run that does not fit would fit.
	Changes []Change `json:"changes"`
}

// DiskForecast has sizes in bytes. Those of tensors are exact; Checkpoint and Adapter include the tokenizer's files and
// not the few kilobytes of the other files.
type DiskForecast struct {
	Checkpoint int64 `json:"checkpoint"`
	Adapter    int64 `json:"adapter"`     // final/
	Kept       int   `json:"checkpoints"` // kept at one time, that of the best epoch included
	Total      int64 `json:"total"`
}

// WorkForecast is the extent of a run, if it does not stop early.
type WorkForecast struct {
	TrainExamples int            `json:"train_examples"`
	DevExamples   int            `json:"dev_examples"`
	Adapter       int            `json:"trainable_parameters"`
	Head          int            `json:"head_parameters"`
	Steps         int            `json:"steps"`
	PerEpoch      int            `json:"steps_per_epoch"`
	Epochs        int            `json:"epochs"`
	Tokens        int            `json:"tokens"` // of all training steps
	Evaluations   int            `json:"evaluations"`
	Schedule      []schedule.Due `json:"schedule"` // merges and injections, if each finds a candidate
	// Trials is the largest number of what-if trials.
	Trials int `json:"what_if_trials"`
}

// ForecastOptions are the device and the choices of a forecast.
type ForecastOptions struct {
	Device compute.Device
	Budget time.Duration    // 0 without a budget
	Now    func() time.Time // time.Now if nil
}

// Predict plans the run of c without beginning it. It reads the data and the base model, takes a few optimizer steps on
// the device to measure their time, and writes nothing into the run directory. If the run does not fit into memory,
// Predict returns the forecast without times and an error that wraps compute.ErrOutOfMemory.
func Predict(ctx context.Context, c *config.Config, o ForecastOptions) (*Forecast, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	r := &run{out: c.Out, dev: o.Device}
	defer r.closeInit()
	if err := r.prepare(ctx, c); err != nil {
		return nil, err
	}
	held, err := look(r.out)
	if err != nil {
		return nil, err
	}
	settings, err := r.initialSettings()
	if err != nil {
		return nil, err
	}
	f := &Forecast{
		Out: r.out, Continues: held, Method: c.Method.Name(), Task: r.session.Set.Task.Name, Device: r.dev.Name(),
		Notes: append([]string{}, r.shortness()...),
	}
	plan, err := r.session.plan(r.dev, r.train, r.test, settings)
	if err != nil {
		return nil, err
	}
	f.Work, f.Disk = r.work(plan), r.disk(plan)
	stats := r.dev.Stats() // before anything is allocated
	f.Memory = r.memory(plan, stats.Free, settings)
	if o.Budget > 0 {
		f.Budget = &Choice{Seconds: o.Budget.Seconds(), Set: []string{}}
		if plan, err = r.choose(ctx, f, plan, settings, o.Now); err != nil {
			return f, err
		}
		f.Memory = r.memory(plan, stats.Free, settings)
	}
	if !f.Memory.Fits {
		return f, tooLarge(r.train, r.test, plan, stats, f.Memory.Changes)
	}
	if f.Time, err = r.measure(ctx, f.Work, calibrationSteps, o.Now); err != nil {
		return nil, err
	}
	if f.Budget != nil {
		f.Budget.limit(f, c.Train)
	}
	return f, nil
}

// memory returns the part of a forecast about memory.
func (r *run) memory(p Plan, free int64, settings adapter.Settings) MemoryForecast {
	m := MemoryForecast{
		Weights: p.Weights, Parameters: p.Parameters, Gradients: p.Gradients, Moments: p.Moments,
		Other:       p.Trained - p.Parameters - p.Gradients - p.Moments,
		Activations: p.Arena, Total: p.Total(), Free: free, Fits: free == 0 || p.Total() <= free,
		Evaluation: p.Evaluation, Examples: p.Examples, Tokens: p.Tokens, Changes: []Change{},
	}
	if free > 0 {
		n := r.largest(free, settings)
		m.Largest = &n
	}
	if !m.Fits {
		fits := r.session.changes(r.dev, r.train, r.test, settings)
		m.Changes = append(m.Changes, fits[:min(3, len(fits))]...)
	}
	return m
}

// largest returns how many of the longest training examples fit into one micro-batch with the given memory. The
// evaluation then has at most as many examples in a pass, or those of the settings if these are fewer.
func (r *run) largest(free int64, settings adapter.Settings) int {
	byLength := sequence(r.train.Len())
	slices.SortFunc(byLength, func(a, b int32) int { return r.train.Tokens(b) - r.train.Tokens(a) })
	fits := func(n int) bool {
		c, s, tokens := *r.session.Config, *r.session, 0
		for _, i := range byLength[:n] {
			tokens += r.train.Tokens(i)
		}
		c.Train.EvalBatchSize = min(c.Train.EvalBatchSize, n)
		s.Config = &c
		p, err := s.planBatch(r.dev, r.train, r.test, settings, tokens, n)
		return err == nil && p.Total() <= free
	}
	low, high := 0, 1 // low fits; high was not tried
	for high <= len(byLength) && fits(high) {
		low, high = high, 2*high
	}
	high = min(high, len(byLength)+1) // does not fit
	for high-low > 1 {
		if n := (low + high) / 2; fits(n) {
			low = n
		} else {
			high = n
		}
	}
	return low
}

// disk returns the part of a forecast about files.
func (r *run) disk(p Plan) DiskForecast {
	var tokenizer int64
	for _, content := range r.session.Tokenizer.Files() {
		tokenizer += int64(len(content))
	}
	d := DiskForecast{Adapter: p.Saved + tokenizer, Checkpoint: p.Saved + p.Continued + tokenizer}
	t := r.session.Config.Train
	saves := r.evaluations()
	if t.SaveEvery > 0 {
		saves += r.steps / t.SaveEvery
	}
	d.Kept = min(t.KeepCheckpoints+1, saves)
	d.Total = int64(d.Kept)*d.Checkpoint + d.Adapter
	return d
}

// work returns the part of a forecast about the extent of the run.
func (r *run) work(p Plan) WorkForecast {
	c := r.session.Config
	w := WorkForecast{
		TrainExamples: r.train.Len(), DevExamples: r.test.Len(), Adapter: p.Adapter, Head: p.Head,
		Steps: r.steps, PerEpoch: r.perEpoch, Epochs: r.allEpochs(), Evaluations: r.evaluations(),
		Schedule: []schedule.Due{},
	}
	w.Tokens = r.steps / r.perEpoch * r.train.tokens(sequence(r.train.Len()))
	for step := r.steps - r.steps%r.perEpoch + 1; step <= r.steps; step++ {
		w.Tokens += r.train.tokens(r.session.step(r.train.Len(), step))
	}
	if c.Schedule.Active() {
		w.Schedule = append(w.Schedule, schedule.New(c.Schedule, r.size).Plan()...)
	}
	if c.Schedule.WhatIf > 0 {
		// A layer is injected or begins a module at most once, so there are at most as many candidates as layers.
		for _, d := range w.Schedule {
			for _, due := range []bool{d.Merge, d.Inject} {
				if due {
					w.Trials += 1 + r.size.Layers
				}
			}
		}
	}
	return w
}

// tokens returns the number of tokens of the examples with the given indices.
func (d data) tokens(indices []int32) (n int) {
	for _, i := range indices {
		n += d.Tokens(i)
	}
	return n
}

// evaluations returns the number of evaluations of the run.
func (t *timetable) evaluations() int {
	every := t.evalEvery()
	n := t.steps / every
	for _, end := range t.ends {
		if end%every != 0 {
			n++
		}
	}
	return n
}
