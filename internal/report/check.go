package report

import (
	"cmp"
	"fmt"

	"github.com/lor2c/lor2c/internal/runlog"
	"github.com/lor2c/lor2c/internal/schedule"
)

// check returns an error for a record that contradicts itself or the plan, for
// example because it was edited by hand or belongs to another model. records
// are the records of the lines of path, in order.
func check(path string, records []runlog.Record) error {
	layers := mostLayers
	for i, record := range records {
		var err error
		switch r := record.(type) {
		case schedule.Plan:
			layers, err = r.Layers, checkPlan(r)
		case schedule.Spectrum:
			for _, m := range r.Modules {
				err = cmp.Or(err, checkSpan(m.Span, layers))
			}
			err = cmp.Or(err, checkCount("modules", len(r.Modules), layers))
		case schedule.Event:
			err = checkEvent(r, layers)
		case schedule.Tie:
			err = checkTie(r)
		case schedule.Ranks:
			err = checkRanks(r)
		}
		if err != nil {
			return fmt.Errorf("%s:%d: %w; restore the line or remove it with all that follow", path, i+1, err)
		}
	}
	return nil
}

// mostLayers is the largest number of layers, which is more than any encoder or
// decoder in use has. The size of figures depends on the number of layers, so a
// number without a bound would fill the memory.
const mostLayers = 1000

func checkPlan(p schedule.Plan) error {
	if p.Layers < 1 || p.Layers > mostLayers {
		return fmt.Errorf("plan: layers is %d, want 1 to %d", p.Layers, mostLayers)
	}
	return cmp.Or(checkCount("merges", len(p.Merges), p.Layers), checkCount("injects", len(p.Injects), p.Layers))
}

// checkCount returns an error if a list has more than one element per layer,
// because a layer is merged, replaced or measured at most once.
func checkCount(what string, n, layers int) error {
	if n > layers {
		return fmt.Errorf("it lists %d %s, want at most one for each of %d layers", n, what, layers)
	}
	return nil
}

func checkEvent(e schedule.Event, layers int) error {
	if e.Action != "merge" && e.Action != "inject" {
		return fmt.Errorf(`event: action is %q, want "merge" or "inject"`, e.Action)
	}
	err := cmp.Or(checkCount("candidates", len(e.Candidates), layers), checkSpan(e.Span, layers))
	for _, c := range e.Candidates {
		if len(c.Scores) != len(c.Members) {
			return fmt.Errorf("event: candidate %d-%d has %d scores for %d members", c.First, c.Last, len(c.Scores),
				len(c.Members))
		}
		err = cmp.Or(err, checkSpan(c.Span, layers))
	}
	for _, s := range []schedule.Structure{e.Before, e.After} {
		err = cmp.Or(err, checkCount("modules", len(s.Modules), layers),
			checkCount("injected layers", len(s.Injected), layers))
		for _, m := range s.Modules {
			err = cmp.Or(err, checkSpan(m, layers))
		}
	}
	return err
}

func checkSpan(s schedule.Span, layers int) error {
	if s.First < 0 || s.First > s.Last || s.Last >= layers {
		return fmt.Errorf("layers %d-%d are not a span, want 0 <= first <= last < %d", s.First, s.Last, layers)
	}
	return nil
}
