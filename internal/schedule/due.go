package schedule

import "math"

// Run is the size of a run.
type Run struct {
	Epochs, StepsPerEpoch int
	Steps                 int // of the whole run; 0 means that it ends with its last epoch
	Layers, Rank          int
}

// steps returns the optimizer steps of the whole run.
func (r Run) steps() int {
	if r.Steps > 0 {
		return r.Steps
	}
	return r.Epochs * r.StepsPerEpoch
}

// interval returns the epochs between two of limit operations: eq. 11 and 12 of
// arXiv:2503.00572.
func interval(epochs, limit int) int {
	return int(float64(epochs)/(4*float64(limit)+1e-9)) + 1
}

// within reports whether the schedule still acts at the end of step.
func (s *Schedule) within(step int) bool {
	// An epoch that ends exactly at the limit is in, whatever rounding does.
	return float64(step) <= s.c.Until*float64(s.run.steps())+1e-6
}

// due reports whether one of limit operations falls on the end of step. There
// are more such steps than limit: an operation without a candidate is tried
// again at the next.
func (s *Schedule) due(limit, step int) bool {
	if limit == 0 || step < 1 || !s.within(step) {
		return false
	}
	if s.c.Timing == TimingSteps {
		// "Without rounding down": operation k after k/(4 limit) of the run. With
		// the + 1 of eq. 11 nothing would fit into three epochs.
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

// Due reports whether anything may happen at the end of step, so that spectra
// are needed. Deferred injections wait for the end of an epoch.
func (s *Schedule) Due(step int) bool {
	return s.due(s.c.MaxMerges, step) || s.due(s.c.MaxInjects, step) ||
		s.c.Active() && s.c.OnConflict == ConflictDefer && step%s.run.StepsPerEpoch == 0 && s.within(step)
}

// Due is what happens at the end of a step at most.
type Due struct {
	Step          int
	Epoch         float64
	Merge, Inject bool
}

// Plan returns what happens when every operation finds a candidate at its first
// time, by step.
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
