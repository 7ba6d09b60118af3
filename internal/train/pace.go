package train

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/model"
)

// These are the most optimizer steps and evaluation passes whose time is measured, the most steps before them that are
// not, because they include work that is done once, the steps for each of several micro-batch sizes, and the most
// sizes.
const (
	calibrationSteps = 10
	warmUpSteps      = 2
	choiceSteps      = 3
	mostMicro        = 4
)

// TimeForecast is how long training and evaluating will take, without loading and saving. Low and High are the times if
// every token took as long as in the fastest and in the slowest of the measured steps, and Seconds is the time if every
// token took their mean.
type TimeForecast struct {
	Seconds    float64 `json:"seconds"`
	Low        float64 `json:"seconds_low"`
	High       float64 `json:"seconds_high"`
	Step       float64 `json:"step_seconds"`       // mean over the steps of the run
	Evaluation float64 `json:"evaluation_seconds"` // of one evaluation
	Tokens     float64 `json:"tokens_per_second"`
	Measured   int     `json:"measured_steps"`

	slowest func(steps int) float64 // seconds of a run of a number of steps, at the paces of High
}

// pace is the seconds that a token takes in the fastest and the slowest of several passes, and in all of them.
type pace struct{ fastest, mean, slowest float64 }

// timed calls pass n times, after calls that are not measured, and returns the pace of the calls. pass returns the
// number of tokens that it processed.
func timed(ctx context.Context, warmUp, n int, now func() time.Time, pass func(i int) (tokens int, err error)) (pace,
	error) {
	var paces []float64
	seconds, tokens := 0.0, 0
	for i := range warmUp + n {
		if ctx.Err() != nil {
			return pace{}, fmt.Errorf("train: plan: %w; nothing was written", ErrInterrupted)
		}
		start := now()
		count, err := pass(i)
		if err != nil {
			return pace{}, err
		}
		if took := now().Sub(start).Seconds(); i >= warmUp {
			paces = append(paces, took/float64(count))
			seconds, tokens = seconds+took, tokens+count
		}
	}
	return pace{slices.Min(paces), seconds / float64(tokens), slices.Max(paces)}, nil
}

// sparing returns how many of n passes are measured, and how many of warmUp are made before them, so that they are not
// more than those of the run. At least one is measured.
func sparing(warmUp, n, ofRun int) (before, measured int) {
	before = min(warmUp, ofRun-1)
	return before, min(n, ofRun-before)
}

// paceOfSteps measures n optimizer steps with micro-batches of a size, or those that a shorter run has, beginning with
// the first step of the run. It returns how many it measured. The values of the parameters are not used afterwards.
func (r *run) paceOfSteps(ctx context.Context, micro, n int, now func() time.Time) (p pace, measured int, err error) {
	t := r.session.Config.Train
	t.MicroBatchSize = micro
	before, measured := sparing(warmUpSteps, n, r.steps)
	p, err = timed(ctx, before, measured, now, func(i int) (tokens int, err error) {
		step := 1 + i
		indices := r.session.step(r.train.Len(), step)
		batches := r.train.micro(indices, t)
		if err := r.stepper.Step(step, batches, r.factor(step)); err != nil {
			return 0, err
		}
		reports, err := r.stepper.Reports(step, step)
		if err == nil && reports[0].Halted {
			err = r.stepper.diagnose(step, batches, r.train.where(indices))
		}
		return r.train.tokens(indices), err
	})
	return p, measured, err
}

// paceOfEvaluation measures passes over the first batches of the dev split.
func (r *run) paceOfEvaluation(ctx context.Context, now func() time.Time) (pace, error) {
	t := r.session.Config.Train
	parts := r.test.Parts(sequence(r.test.Len()), t.EvalBatchSize, t.MicroBatchTokens)
	before, measured := sparing(1, calibrationSteps, len(parts)*r.evaluations())
	return timed(ctx, before, measured, now, func(i int) (int, error) {
		part := parts[i%len(parts)]
		err := r.stepper.each(ctx, r.test, [][]int32{part}, func([]int32, model.Batch, []float32) {})
		return r.test.tokens(part), err
	})
}

// measure builds the run on the device, unless choose has, and measures steps and passes of it.
func (r *run) measure(ctx context.Context, w WorkForecast, n int, now func() time.Time) (*TimeForecast, error) {
	if r.stepper == nil {
		if _, err := r.build(""); err != nil {
			return nil, err
		}
	}
	steps, n, err := r.paceOfSteps(ctx, r.session.Config.Train.MicroBatchSize, n, now)
	if err != nil {
		return nil, blame(r.dev, "measure a step", err)
	}
	eval, err := r.paceOfEvaluation(ctx, now)
	if err != nil {
		return nil, blame(r.dev, "measure an evaluation", err)
	}
	dev := float64(r.test.tokens(sequence(r.test.Len())))
	sample := float64(r.test.tokens(r.session.sample(r.test.Len())))
	tokens, trials := float64(w.Tokens), float64(w.Trials)*sample
	evaluated := float64(w.Evaluations)*dev + trials
	return &TimeForecast{
		Seconds: tokens*steps.mean + evaluated*eval.mean,
		Low:     tokens*steps.fastest + evaluated*eval.fastest,
		High:    tokens*steps.slowest + evaluated*eval.slowest,
		Step:    tokens * steps.mean / float64(w.Steps), Evaluation: dev * eval.mean,
		Tokens: 1 / steps.mean, Measured: n,
		slowest: func(n int) float64 {
			// A shorter run has its changes of structure earlier, and not fewer of them. It is evaluated at its end too.
			evaluations := (n + r.evalEvery() - 1) / r.evalEvery()
			return tokens*float64(n)/float64(w.Steps)*steps.slowest + (float64(evaluations)*dev+trials)*eval.slowest
		},
	}, nil
}

// Choice is how a run stays within a time. A smaller micro-batch has the same result up to rounding, so the fastest
// that fits into memory is chosen. If the run is still too long at the slowest measured pace, Set shortens it.
type Choice struct {
	Seconds float64 `json:"seconds"` // the budget
	Within  bool    `json:"within"`  // the whole run ends in this time
	Steps   int     `json:"steps"`   // that do
	Tried   []Tried `json:"tried"`
	// Set has the settings to change, each KEY=VALUE.
	Set []string `json:"set"`
}

// Tried is a micro-batch size with its measured speed.
type Tried struct {
	MicroBatch int     `json:"micro_batch_size"`
	Tokens     float64 `json:"tokens_per_second"`
	Memory     int64   `json:"memory"`
}

// choose builds the run and changes its micro-batch size to the fastest of those with which it fits. It returns their
// plan, and an error that wraps compute.ErrOutOfMemory if there is none.
func (r *run) choose(ctx context.Context, f *Forecast, plan Plan, settings adapter.Settings,
	now func() time.Time) (Plan, error) {
	sizes, plans := r.fitting(plan, settings)
	if sizes == nil {
		return plan, tooLarge(r.train, r.test, plan, r.dev.Stats(), f.Memory.Changes)
	}
	was := r.session.Config.Train.MicroBatchSize
	r.session = r.session.withMicro(sizes[0])
	if _, err := r.build(""); err != nil {
		return plan, err
	}
	best := 0
	for i, n := range sizes {
		p, _, err := r.paceOfSteps(ctx, n, choiceSteps, now)
		if err != nil {
			return plan, blame(r.dev, "measure a step", err)
		}
		f.Budget.Tried = append(f.Budget.Tried, Tried{n, 1 / p.mean, plans[i].Total()})
		if f.Budget.Tried[i].Tokens > f.Budget.Tried[best].Tokens {
			best = i
		}
	}
	if sizes[best] != was {
		f.Budget.Set = append(f.Budget.Set, fmt.Sprintf("train.micro_batch_size=%d", sizes[best]))
	}
	r.session = r.session.withMicro(sizes[best])
	return plans[best], nil
}

// fitting returns micro-batch sizes with which the run fits, the largest first, each at most half of the one before,
// and their plans. A run with train.micro_batch_tokens keeps its size.
func (r *run) fitting(plan Plan, settings adapter.Settings) (sizes []int, plans []Plan) {
	t, free := r.session.Config.Train, r.dev.Stats().Free
	for n := t.BatchSize; n > 0 && len(sizes) < mostMicro; n-- {
		switch {
		case t.MicroBatchTokens > 0 && n != t.MicroBatchSize, t.BatchSize%n != 0:
			continue
		case len(sizes) > 0 && n > sizes[len(sizes)-1]/2:
			continue
		}
		p, err := r.session.withMicro(n).plan(r.dev, r.train, r.test, settings)
		if err == nil && (free == 0 || p.Total() <= free) {
			sizes, plans = append(sizes, n), append(plans, p)
		}
	}
	return sizes, plans
}

// withMicro returns a copy of the session with another micro-batch size.
func (s *Session) withMicro(n int) *Session {
	c, other := *s.Config, *s
	c.Train.MicroBatchSize, other.Config = n, &c
	return &other
}

// limit says whether the run stays within the budget at the slowest measured pace and, if it does not, which shorter
// run does.
func (b *Choice) limit(f *Forecast, t config.Train) {
	b.Within, b.Steps = f.Time.High <= b.Seconds, f.Work.Steps
	if b.Within {
		return
	}
	b.Steps = sort.Search(f.Work.Steps, func(n int) bool { return f.Time.slowest(n+1) > b.Seconds })
	switch epochs := b.Steps / f.Work.PerEpoch; {
	case t.ExtendEpochs != nil || b.Steps == 0: // the length of a run that is extended is not one setting
	case epochs > 0 && t.MaxSteps == 0:
		b.Set = append(b.Set, fmt.Sprintf("train.epochs=%d", epochs))
		b.Steps = epochs * f.Work.PerEpoch
	default:
		b.Set = append(b.Set, fmt.Sprintf("train.max_steps=%d", b.Steps))
	}
}
