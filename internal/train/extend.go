package train

import (
	"path/filepath"
	"slices"

	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/identity"
)

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

// extends reports whether train.extend_epochs of c is the given value with zero or more
// additions appended.
func extends(was string, c *config.Config) bool {
	shorter := *c
	all := c.Train.ExtendEpochs
	for n := range len(all) + 1 {
		shorter.Train.ExtendEpochs = all[:n]
		if shorter.Settings()[extendKey] == was {
			return true
		}
	}
	return false
}

// lengthened reports whether the run in a directory has train.extend_epochs, of its
// settings, to which c adds epochs.
func lengthened(was map[string]string, c *config.Config) bool {
	value, known := was[extendKey]
	return known && value != c.Settings()[extendKey] && extends(value, c)
}

// Shorter reports whether a directory has the results of a run to which c adds epochs,
// so that they are not the results of c.
func Shorter(dir string, c *config.Config) bool {
	was, err := identity.Read(filepath.Join(dir, finalDir))
	return err == nil && was != nil && lengthened(was.Settings, c)
}

// extendKey is the configuration key of added epochs.
const extendKey = "train.extend_epochs"
