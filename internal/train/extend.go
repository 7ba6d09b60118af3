package train

import "slices"

// planSteps works out how long the run is and at which rates it trains. Steps
// that were planned keep their rates when epochs are added, so that it makes no
// difference when a run is extended; steps of an addition have the rates of a run
// that was planned to end with it. The schedule of merges and injections, and
// whatever a method does over a run, are laid out on the planned part alone.
func (r *run) planSteps() {
	c := r.session.Config
	steps, epochs := c.Train.Extent(r.perEpoch)
	r.planned, r.ends = epochs, []int{steps}
	for _, more := range c.Train.ExtendEpochs {
		steps += more * r.perEpoch
		r.ends = append(r.ends, steps)
	}
	r.steps = steps
	r.lr = nil
	for _, end := range r.ends {
		r.lr = append(r.lr, c.Optim.LRSchedule(end))
	}
}

// ended reports whether a part of the run ends with a step: it is then logged,
// scored and saved as at the end of a run.
func (r *run) ended(step int) bool { return slices.Contains(r.ends, step) }

// factor returns what the base rate is multiplied by at a step: that of the first
// part that the step lies in.
func (r *run) factor(step int) float64 {
	part, _ := slices.BinarySearch(r.ends, step)
	return r.lr[part].Factor(step)
}

// extends reports whether the run adds epochs to one whose train.extend_epochs
// had the given value.
func (r *run) extends(was string) bool {
	c := *r.session.Config
	all := c.Train.ExtendEpochs
	for n := range len(all) + 1 {
		c.Train.ExtendEpochs = all[:n]
		if c.Settings()[extendKey] == was {
			return true
		}
	}
	return false
}

const extendKey = "train.extend_epochs"
