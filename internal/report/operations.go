package report

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/lor2c/lor2c/internal/schedule"
)

// Operation is a planned merge or injection with its outcome.
type Operation struct {
	Action       string  `json:"action"` // merge or inject
	Number       int     `json:"number"` // of its action, from 1
	PlannedStep  int     `json:"planned_step"`
	PlannedEpoch float64 `json:"planned_epoch"`
	Event        int     `json:"event"`  // its number; 0 if it was not executed
	Status       string  `json:"status"` // see Statuses
	Why          string  `json:"why"`    // the reason for noCandidate; "" otherwise
}

// These are the statuses of an operation.
const (
	onTime      = "as planned"
	late        = "late"         // an earlier one found no candidate
	pending     = "not yet"      // the run has not reached its step
	noCandidate = "no candidate" // no candidate was found, also not later
)

// operations pairs the k-th executed merge with the k-th planned one, and does
// the same for injections, because an operation that finds no candidate is
// tried again later.
func (r *Run) operations() []Operation {
	all := []Operation{}
	if r.Plan == nil {
		return all
	}
	for _, side := range []struct {
		action string
		due    []schedule.Time
	}{{"merge", r.Plan.Merges}, {"inject", r.Plan.Injects}} {
		var done []Event
		for _, e := range r.Events {
			if e.Action == side.action {
				done = append(done, e)
			}
		}
		for k, due := range side.due {
			op := Operation{Action: side.action, Number: k + 1, PlannedStep: due.Step, PlannedEpoch: due.Epoch}
			switch {
			case k < len(done) && done[k].Step == due.Step:
				op.Event, op.Status = done[k].Number, onTime
			case k < len(done):
				op.Event, op.Status = done[k].Number, late
			case !r.Finished && r.LastStep <= due.Step:
				op.Status = pending
			default:
				op.Status, op.Why = noCandidate, r.config.Schedule.WhyNone(schedule.Kind(side.action))
			}
			all = append(all, op)
		}
	}
	slices.SortStableFunc(all, func(a, b Operation) int { return cmp.Compare(a.PlannedStep, b.PlannedStep) })
	return all
}

// whyNot returns a sentence for each kind of operation of which some found no
// candidate.
func (r *Run) whyNot() (lines []string) {
	for _, o := range r.Operations {
		line := fmt.Sprintf("An operation to %s found no candidate: %s.", o.Action, o.Why)
		if o.Status == noCandidate && !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return lines
}

// executed counts the events of an action.
func (r *Run) executed(action string) (n int) {
	for _, e := range r.Events {
		if e.Action == action {
			n++
		}
	}
	return n
}
