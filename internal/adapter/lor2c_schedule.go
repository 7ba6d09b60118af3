package adapter

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat"

	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/schedule"
	"github.com/lor2c/lor2c/internal/strictjson"
	"github.com/lor2c/lor2c/internal/tape"
)

// scheduled is the part of LoR2C that package schedule controls. The zero
// value, for a method outside a run, is never due.
type scheduled struct {
	*schedule.Schedule
	config   schedule.Config
	run      schedule.Run
	state    schedule.State
	measured []schedule.Module // the modules with their spectra after step
	step     int               // the last step that was measured
}

// newScheduled returns the schedule of b in the state that progress describes.
func newScheduled(b builder) (s scheduled, err error) {
	if b.Run.StepsPerEpoch == 0 {
		return s, nil
	}
	s = scheduled{Schedule: schedule.New(b.Schedule, b.Run), config: b.Schedule, run: b.Run}
	if b.Progress != nil {
		err = json.Unmarshal(b.Progress, &s.state)
	}
	return s, err
}

// Due reports whether spectra must be measured after a step: at the end of
// every epoch and when the schedule may act.
func (m *LoR2C) Due(at At) bool {
	return m.Schedule != nil && (at.Step%m.run.StepsPerEpoch == 0 || m.Schedule.Due(at.Step))
}

// Progress returns the state of the schedule.
func (m *LoR2C) Progress() json.RawMessage {
	if m.Schedule == nil {
		return nil
	}
	return encoded(m.state)
}

// checkProgress returns an error for every value in the state of a schedule,
// after a step, that its limits do not allow.
func checkProgress(text json.RawMessage, limits schedule.Config, step int) (faults []string) {
	var s schedule.State
	if err := strictjson.UnmarshalKnown(text, &s); err != nil {
		return []string{fmt.Sprintf("schedule:%v", err)}
	}
	check := func(ok bool, format string, a ...any) {
		if !ok {
			faults = append(faults, fmt.Sprintf("schedule."+format, a...))
		}
	}
	check(s.Merges >= 0 && s.Merges <= limits.MaxMerges, "merges is %d; want 0 to %d", s.Merges, limits.MaxMerges)
	check(s.Injects >= 0 && s.Deferred >= 0 && s.Injects+s.Deferred <= limits.MaxInjects,
		"injects and schedule.deferred are %d and %d; want at most %d together", s.Injects, s.Deferred, limits.MaxInjects)
	check(s.Step >= 0 && s.Step <= step, "step is %d; want 0 to %d", s.Step, step)
	check(s.Done >= 0 && s.Done <= 2, "done is %d; want 0 to 2", s.Done)
	return faults
}

// encoded returns v, a plain struct of this package or of package schedule, as
// JSON.
func encoded(v any) json.RawMessage {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}

// Change carries out the next action of the schedule. The first call after a
// step measures the spectra of all modules.
func (m *LoR2C) Change(at At, run Run) (*Change, error) {
	if m.step != at.Step {
		if err := m.measure(at, run); err != nil {
			return nil, err
		}
		m.step = at.Step
	}
	action, state := m.Next(m.state, at.Step, m.measured)
	m.state = state
	if action == nil {
		return nil, nil
	}
	return m.apply(at, run, action)
}

// measure reads the spectra of all modules and logs them.
func (m *LoR2C) measure(at At, run Run) error {
	spectra, err := m.Spectra(m.b.dev)
	if err != nil {
		return err
	}
	m.measured = make([]schedule.Module, len(spectra))
	scores := make([]float64, len(spectra))
	for i, values := range spectra {
		span := m.modules[i].span()
		if slices.ContainsFunc(values, func(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) }) {
			return fmt.Errorf("adapter: step %d: the singular values of the module of layer %d are not finite; try a lower "+
				"optim.lr",
				at.Step, span.First)
		}
		m.measured[i] = schedule.Module{Span: span, Singular: values}
		scores[i] = m.Score(values)
	}
	return run.Log(schedule.Spectrum{
		Step: at.Step, Epoch: at.Epoch, Modules: m.measured, Score: m.config.Score, Scores: scores,
	})
}

// apply carries out one action.
func (m *LoR2C) apply(at At, run Run, a *schedule.Action) (*Change, error) {
	e := schedule.Event{
		Step: at.Step, Epoch: at.Epoch, Action: string(a.Kind), Span: a.Span, Keep: a.Keep, Winner: a.Winner,
		Candidates: a.Candidates, Before: m.Layout(), ParametersBefore: Count(m.Params()),
	}
	if m.config.WhatIf > 0 {
		if err := m.whatIf(run, a, &e); err != nil {
			return nil, err
		}
	}
	var reset []*tape.Param
	if a.Kind == schedule.Merge {
		m.Merge(a.First, a.Last, a.Keep)
		if m.config.Moments == schedule.MomentsReset {
			x, y := m.Module(a.First)
			if reset = append(reset, y); !m.own.Share {
				reset = append(reset, x)
			}
		}
	} else {
		m.Inject(a.First)
	}
	if m.config.Changed == schedule.ChangedFreeze {
		m.Freeze()
	}
	m.measured = after(m.measured, a)
	e.After, e.ParametersAfter = m.Layout(), Count(m.Params())
	return &Change{Reset: reset, Log: e}, nil
}

// after returns the modules after an action. The module that a merge keeps also
// keeps its spectrum, because its factors do not change.
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

// whatIf evaluates the what-if sample with the present method and with the
// method after each candidate of an action.
func (m *LoR2C) whatIf(run Run, a *schedule.Action, e *schedule.Event) error {
	trials := 1 + len(a.Candidates)
	before, each, err := run.Losses(m.Hook, 1, trials)
	if err != nil {
		return err
	}
	e.Loss, e.Sample = &before, len(each)
	for i, c := range a.Candidates {
		then := m.Without(c.First)
		if a.Kind == schedule.Merge {
			then = m.Merged(c.First, c.Last, m.Keep(c))
		}
		loss, losses, err := run.Losses(func(at At) model.Hook { return then.Hook(at) }, i+2, trials)
		if err != nil {
			return err
		}
		e.Candidates[i].Loss, e.Candidates[i].ChangeSE = &loss, pairedError(each, losses)
	}
	return nil
}

// pairedError returns the standard error of the mean difference of two lists of losses of the same examples, or nil if
// there are fewer than two examples.
func pairedError(a, b []float64) *float64 {
	if len(a) < 2 {
		return nil
	}
	differences := make([]float64, len(a))
	floats.SubTo(differences, b, a)
	se := stat.StdErr(stat.StdDev(differences, nil), float64(len(a)))
	return &se
}

// Start prints the actions that the schedule plans, and logs the plan at the
// start of a run.
func (m *LoR2C) Start(run Run, fresh bool) error {
	if m.Schedule == nil || !m.config.Active() {
		return nil
	}
	plan := schedule.Plan{
		Layers: m.run.Layers, Rank: m.run.Rank, Parameters: Count(m.Params()), Merges: []schedule.Time{},
		Injects:   []schedule.Time{},
		MaxMerges: m.config.MaxMerges, MaxInjects: m.config.MaxInjects, Score: m.config.Score, SFSK: m.config.SFSK,
	}
	var merges, injects []string
	for _, d := range m.Plan() {
		due, epoch := schedule.Time{Step: d.Step, Epoch: d.Epoch}, fmt.Sprintf("%.4g", d.Epoch)
		if d.Merge {
			plan.Merges, merges = append(plan.Merges, due), append(merges, epoch)
		}
		if d.Inject {
			plan.Injects, injects = append(plan.Injects, due), append(injects, epoch)
		}
	}
	list := func(epochs []string) string {
		if epochs == nil {
			return "none"
		}
		return fmt.Sprintf("%d (after epoch %s)", len(epochs), strings.Join(epochs, ", "))
	}
	run.Printf("schedule: merges, at most %s; injections, at most %s", list(merges), list(injects))
	if short := m.Shortfall(); short != nil {
		run.Printf("schedule: merges may leave no module for %s, because an injection replaces a module that was never "+
			"merged; lower schedule.max_merges, which is %d, to have enough modules with these %d layers",
			numbered("injection", short), m.config.MaxMerges, plan.Layers)
	}
	if !fresh {
		return nil
	}
	return run.Log(plan)
}

// numbered returns a noun with its numbers, such as "injection 1" or
// "injections 1, 2".
func numbered(noun string, numbers []int) string {
	text := strings.ReplaceAll(strings.Trim(fmt.Sprint(numbers), "[]"), " ", ", ")
	if len(numbers) == 1 {
		return noun + " " + text
	}
	return noun + "s " + text
}

// Finish logs how many actions of the schedule were carried out, and the reason
// if some were not.
func (m *LoR2C) Finish(run Run) {
	if m.Schedule == nil || !m.config.Active() {
		return
	}
	text := fmt.Sprintf("schedule: %d of %d merges and %d of %d injections were carried out",
		m.state.Merges, m.config.MaxMerges, m.state.Injects, m.config.MaxInjects)
	if m.state.Merges < m.config.MaxMerges {
		text += "; a merge found no candidate: " + m.config.WhyNone(schedule.Merge)
	}
	if m.state.Injects < m.config.MaxInjects {
		text += "; an injection found no candidate: " + m.config.WhyNone(schedule.Inject)
	}
	run.Printf("%s", text)
}
