package train

import "slices"

// planSteps computes the number of steps of the run and its learning-rate schedules.
// Planned steps keep their learning rates when epochs are added, so it makes no
// difference when a run is extended. The steps of an addition have the learning
// rates of a run that was planned to end with that addition. The schedule of merges
// and injections, and everything else that a method plans over a run, covers only
// the planned part.
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

// ended reports whether the planned part or an addition ends with a step. The step is
// then logged, evaluated and saved like the last step of a run.
func (r *run) ended(step int) bool { return slices.Contains(r.ends, step) }

// factor returns what the base learning rate is multiplied by at a step. It comes
// from the schedule of the part of the run that the step belongs to.
func (r *run) factor(step int) float64 {
	part, _ := slices.BinarySearch(r.ends, step)
	return r.lr[part].Factor(step)
}

// extends reports whether the run's train.extend_epochs is the given value with zero
// or more additions appended.
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

// extendKey is the configuration key of added epochs.
const extendKey = "train.extend_epochs"
