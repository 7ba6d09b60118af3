package report

import (
	"cmp"
	"fmt"
	"math"

	"github.com/lor2c/lor2c/internal/runlog"
)

// check returns an error for a record that contradicts itself or the plan, as
// one that was edited by hand or comes of another model may. The records are
// those of the file's lines, in order.
func check(path string, records []runlog.Record) error {
	layers := math.MaxInt
	for i, record := range records {
		var err error
		switch r := record.(type) {
		case runlog.Plan:
			layers = r.Layers
		case runlog.Spectrum:
			for _, m := range r.Modules {
				err = cmp.Or(err, checkSpan(m.Span, layers))
			}
		case runlog.Event:
			err = checkEvent(r, layers)
		}
		if err != nil {
			return fmt.Errorf("%s:%d: %w; restore the line or remove it with all that follow", path, i+1, err)
		}
	}
	return nil
}

func checkEvent(e runlog.Event, layers int) error {
	if e.Action != "merge" && e.Action != "inject" {
		return fmt.Errorf(`event: action is %q, want "merge" or "inject"`, e.Action)
	}
	if e.Winner < 0 || e.Winner >= len(e.Candidates) {
		return fmt.Errorf("event: winner is %d, want the index of one of %d candidates", e.Winner, len(e.Candidates))
	}
	err := checkSpan(e.Span, layers)
	for _, c := range e.Candidates {
		if len(c.Scores) != len(c.Members) {
			return fmt.Errorf("event: candidate %d-%d has %d scores for %d members", c.First, c.Last, len(c.Scores), len(c.Members))
		}
		err = cmp.Or(err, checkSpan(c.Span, layers))
	}
	for _, s := range []runlog.Structure{e.Before, e.After} {
		for _, m := range s.Modules {
			err = cmp.Or(err, checkSpan(m, layers))
		}
	}
	return err
}

func checkSpan(s runlog.Span, layers int) error {
	if s.First < 0 || s.First > s.Last || s.Last >= layers {
		return fmt.Errorf("layers %d-%d are no span, want 0 <= first <= last < %d", s.First, s.Last, layers)
	}
	return nil
}
