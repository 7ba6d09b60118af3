package adapter

import (
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat"

	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/schedule"
)

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
