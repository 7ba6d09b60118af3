package adapter

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"

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
		return []string{fmt.Sprintf("schedule: %v", strictjson.WithoutPlace(err))}
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
