package train

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/schedule"
	"github.com/lor2c/lor2c/internal/tape"
)

// restructure measures the modules of a LoR2C method at the end of an epoch or
// where the schedule may act, and carries out what it decides.
func (r *run) restructure(ctx context.Context, step int) error {
	m, ok := r.stepper.Method.(*adapter.LoR2C)
	if !ok || step%r.perEpoch != 0 && !r.schedule.Due(step) {
		return nil
	}
	modules, err := r.measure(m, step)
	if err != nil {
		return err
	}
	changed := false
	for {
		action, state := r.schedule.Next(r.state.Schedule, step, modules)
		r.state.Schedule = state
		if action == nil {
			break
		}
		if err := r.apply(ctx, m, step, action); err != nil {
			return err
		}
		modules = after(modules, action)
		changed = true
	}
	if !changed {
		return nil
	}
	s := m.Structure()
	plan, err := r.session.plan(r.dev, r.train, r.test, &s)
	if err != nil {
		return err
	}
	r.dev.Reserve(plan.Arena)
	r.motion = r.watchMotion(step)
	return r.dev.Err()
}

// measure reads the spectra of all modules and logs them.
func (r *run) measure(m *adapter.LoR2C, step int) ([]schedule.Module, error) {
	spectra, err := m.Spectra(r.dev)
	if err != nil {
		return nil, err
	}
	spans := m.Structure().Modules
	modules, scores := make([]schedule.Module, len(spans)), make([]float64, len(spans))
	rec := schedule.Spectrum{Step: step, Epoch: r.epochs(step), Modules: modules, Score: r.session.Config.Schedule.Score, Scores: scores}
	for i, values := range spectra {
		if slices.ContainsFunc(values, func(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) }) {
			return nil, fmt.Errorf("train: step %d: the singular values of the module of layer %d are not finite; try a lower optim.lr", step, spans[i].First)
		}
		modules[i] = schedule.Module{Span: spans[i], Singular: values}
		scores[i] = r.schedule.Score(values)
	}
	r.log.Structure(rec)
	r.records = append(r.records, rec)
	return modules, r.log.Err()
}

// after returns the modules that an action leaves; the one that survives a merge
// keeps its spectrum, because it keeps its factors.
func after(modules []schedule.Module, a *schedule.Action) (left []schedule.Module) {
	for _, m := range modules {
		switch {
		case m.Last < a.First || m.First > a.Last:
			left = append(left, m)
		case a.Kind == schedule.Merge && m.First == a.Keep:
			left = append(left, schedule.Module{Span: a.Span, Singular: m.Singular})
		}
	}
	return left
}

// apply carries out one action and logs it.
func (r *run) apply(ctx context.Context, m *adapter.LoR2C, step int, a *schedule.Action) error {
	e := schedule.Event{
		Step: step, Epoch: r.epochs(step), Action: string(a.Kind), Span: a.Span, Keep: a.Keep, Winner: a.Winner, Candidates: a.Candidates,
		Before: m.Structure(), ParametersBefore: adapter.Count(m.Params()),
	}
	if err := r.whatIf(ctx, m, a, &e); err != nil {
		return err
	}
	// The record is of the structure that was trained.
	if err := r.recordGradients(step); err != nil {
		return err
	}
	c := r.session.Config.Schedule
	anew := map[*tape.Param]bool{}
	if a.Kind == schedule.Merge {
		m.Merge(a.First, a.Last, a.Keep)
		if c.Moments == schedule.MomentsReset {
			x, y := m.Module(a.First)
			anew[y] = true
			anew[x] = !r.session.Config.Method.Share
		}
	} else {
		m.Inject(a.First)
	}
	if c.Changed == schedule.ChangedFreeze {
		m.Freeze()
	}
	r.stepper.Change(func(p *tape.Param) bool { return anew[p] })
	if r.gradients != nil {
		r.gradients.close()
		r.gradients = watchGradients(r.stepper)
	}
	e.After, e.ParametersAfter = m.Structure(), adapter.Count(m.Params())
	r.log.Structure(e)
	r.records = append(r.records, e)
	return r.log.Err()
}

// whatIf scores a fixed sample of the dev split as it is now and as it would be
// after each candidate, and leaves the method as it was.
func (r *run) whatIf(ctx context.Context, m *adapter.LoR2C, a *schedule.Action, e *schedule.Event) error {
	sample := r.session.sample(r.test.Len())
	if len(sample) == 0 {
		return nil
	}
	// An interrupt lets an event that has begun finish.
	ctx = context.WithoutCancel(ctx)
	evaluate := func(method adapter.Method) (Evaluation, error) {
		s := *r.stepper
		s.Method = method
		return s.evaluate(ctx, r.test, sample, nil, r.session.Config.Train.EvalBatchSize)
	}
	before, err := evaluate(m)
	if err != nil {
		return err
	}
	e.Loss, e.Sample = &before.Loss, len(sample)
	for i, c := range a.Candidates {
		then := m.Without(c.First)
		if a.Kind == schedule.Merge {
			then = m.Merged(c.First, c.Last, r.schedule.Keep(c))
		}
		after, err := evaluate(then)
		if err != nil {
			return err
		}
		e.Candidates[i].Loss, e.Candidates[i].ChangeSE = &after.Loss, pairedError(before.Losses, after.Losses)
	}
	return nil
}

// pairedError is the standard error of the mean difference of two lists of
// losses of the same examples; nil for fewer than two.
func pairedError(a, b []float64) *float64 {
	if len(a) < 2 {
		return nil
	}
	differences := make([]float64, len(a))
	floats.SubTo(differences, b, a)
	se := stat.StdErr(stat.StdDev(differences, nil), float64(len(a)))
	return &se
}

// announce logs what the schedule will do at most, before the first step.
func (r *run) announce(fresh bool) {
	m, ok := r.stepper.Method.(*adapter.LoR2C)
	c := r.session.Config.Schedule
	if !ok || !c.Active() {
		return
	}
	rec := schedule.Plan{
		Layers: r.session.Model.Layers, Rank: r.session.Config.Method.Rank, Parameters: adapter.Count(m.Params()), Merges: []schedule.Time{}, Injects: []schedule.Time{},
		MaxMerges: c.MaxMerges, MaxInjects: c.MaxInjects, Score: c.Score, SFSK: c.SFSK,
	}
	var merges, injects []string
	for _, d := range r.schedule.Plan() {
		due, at := schedule.Time{Step: d.Step, Epoch: d.Epoch}, fmt.Sprintf("%.4g", d.Epoch)
		if d.Merge {
			rec.Merges, merges = append(rec.Merges, due), append(merges, at)
		}
		if d.Inject {
			rec.Injects, injects = append(rec.Injects, due), append(injects, at)
		}
	}
	list := func(epochs []string) string {
		if epochs == nil {
			return "none"
		}
		return fmt.Sprintf("%d (after epoch %s)", len(epochs), strings.Join(epochs, ", "))
	}
	r.log.Printf("schedule: merges, at most %s; injections, at most %s", list(merges), list(injects))
	if short := r.schedule.Shortfall(); short != nil {
		r.log.Printf("schedule: merges may leave no module for %s, since an injection replaces a module that was never merged; "+
			"to be sure of it, lower schedule.max_merges, which is %d, for these %d layers", numbered("injection", short), c.MaxMerges, rec.Layers)
	}
	if fresh {
		r.log.Structure(rec)
		r.records = append(r.records, rec)
	}
}

// numbered names things by their numbers, as "injection 1" or "injections 1, 2".
func numbered(noun string, numbers []int) string {
	text := strings.ReplaceAll(strings.Trim(fmt.Sprint(numbers), "[]"), " ", ", ")
	if len(numbers) == 1 {
		return noun + " " + text
	}
	return noun + "s " + text
}

// summarize logs how much of the schedule was carried out, and why not all.
func (r *run) summarize() {
	c, done := r.session.Config.Schedule, r.state.Schedule
	if !c.Active() {
		return
	}
	text := fmt.Sprintf("schedule: %d of %d merges and %d of %d injections were carried out", done.Merges, c.MaxMerges, done.Injects, c.MaxInjects)
	if done.Merges < c.MaxMerges {
		text += "; a merge found no candidate: " + c.WhyNone(schedule.Merge)
	}
	if done.Injects < c.MaxInjects {
		text += "; an injection found no candidate: " + c.WhyNone(schedule.Inject)
	}
	r.log.Printf("%s", text)
}
