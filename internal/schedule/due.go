package schedule

import "math"

// Run is the size of a run.
type Run struct {
	Epochs, StepsPerEpoch int
	Steps                 int // of the whole run; 0 means that the run ends with its last epoch
	Layers, Rank          int
}

// steps returns the optimizer steps of the whole run.
func (r Run) steps() int {
	if r.Steps > 0 {
		return r.Steps
	}
	return r.Epochs * r.StepsPerEpoch
}

// interval returns the number of epochs between two operations of a run that
// has `limit` of them, by eq. 11 and 12 of arXiv:2503.00572.
func interval(epochs, limit int) int {
	return int(float64(epochs)/(4*float64(limit)+1e-9)) + 1
}

// within reports whether step lies in the part of the run in which the schedule
// acts.
func (s *Schedule) within(step int) bool {
	// The tolerance keeps rounding from excluding an epoch that ends exactly at
	// the limit.
	return float64(step) <= s.c.Until*float64(s.run.steps())+1e-6
}

// due reports whether an operation is planned for the end of step if there are
// limit operations in all. There are more such steps than limit, because an
// operation without a candidate is tried again at the next one.
func (s *Schedule) due(limit, step int) bool {
	if limit == 0 || step < 1 || !s.within(step) {
		return false
	}
	if s.c.Timing == TimingSteps {
		// The paper says "without rounding down": operation k comes after k/(4
		// limit) of the run. With the + 1 of eq. 11 no operation would fit into
		// three epochs.
		spacing := float64(s.run.steps()) / float64(4*limit)
		k := math.Round(float64(step) / spacing)
		for _, k := range []float64{k - 1, k, k + 1} {
			if k >= 1 && math.Round(k*spacing) == float64(step) {
				return true
			}
		}
		return false
	}
	epoch := step / s.run.StepsPerEpoch
	return step%s.run.StepsPerEpoch == 0 && epoch%interval(s.run.Epochs, limit) == 0
}

// Due reports whether an action is possible at the end of step, in which case
// the spectra are needed. Deferred injections wait for the end of an epoch.
func (s *Schedule) Due(step int) bool {
	return s.due(s.c.MaxMerges, step) || s.due(s.c.MaxInjects, step) ||
		s.c.Active() && s.c.OnConflict == ConflictDefer && step%s.run.StepsPerEpoch == 0 && s.within(step)
}

// Due lists the actions that are possible at the end of a step.
type Due struct {
	Step   int     `json:"step"`
	Epoch  float64 `json:"epoch"`
	Merge  bool    `json:"merge"`
	Inject bool    `json:"inject"`
}

// Plan returns the actions of the run, ordered by step, for the case that every
// operation finds a candidate at its first time.
func (s *Schedule) Plan() (plan []Due) {
	merges, injects, deferred := 0, 0, 0
	for step := 1; s.within(step); step++ {
		d := Due{Step: step, Epoch: float64(step) / float64(s.run.StepsPerEpoch)}
		if merges < s.c.MaxMerges && s.due(s.c.MaxMerges, step) {
			d.Merge = true
			merges++
		}
		due := injects+deferred < s.c.MaxInjects && s.due(s.c.MaxInjects, step)
		switch {
		case due && d.Merge && s.c.OnConflict == ConflictDefer:
			deferred++
		case due:
			d.Inject = true
		case deferred > 0 && !d.Merge && step%s.run.StepsPerEpoch == 0:
			d.Inject = true
			deferred--
		}
		if d.Inject {
			injects++
		}
		if d.Merge || d.Inject {
			plan = append(plan, d)
		}
	}
	return plan
}
