package train

import (
	"slices"

	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/optim"
)

// timetable is the steps of a run and what is due after each. It follows from the
// settings and the number of training examples.
//
// Planned steps keep their learning rates when epochs are added, so it makes no
// difference when a run is extended. The steps of an addition have the learning
// rates of a run that was planned to end with that addition. The schedule of merges
// and injections, and everything else that a method plans over a run, covers only
// the planned part.
type timetable struct {
	settings config.Train
	examples int
	perEpoch int                // optimizer steps of an epoch
	planned  int                // epochs of the planned part; max_steps may end the last one early
	steps    int                // of the whole run, if it does not stop early
	ends     []int              // the last step of the planned part and of each addition
	lr       []optim.LRSchedule // of each of these parts
}

// newTimetable returns the timetable of a run of c over a number of training examples.
func newTimetable(c *config.Config, examples int) timetable {
	t := timetable{settings: c.Train, examples: examples, perEpoch: stepsPerEpoch(examples, c.Train.BatchSize)}
	t.steps, t.planned = c.Train.Extent(t.perEpoch)
	t.ends = []int{t.steps}
	for _, more := range c.Train.ExtendEpochs {
		t.steps += more * t.perEpoch
		t.ends = append(t.ends, t.steps)
	}
	for _, end := range t.ends {
		t.lr = append(t.lr, c.Optim.LRSchedule(end))
	}
	return t
}

// allEpochs returns the number of epochs of the whole run.
func (t *timetable) allEpochs() int { return t.planned + t.settings.AddedEpochs() }

// ended reports whether the planned part or an addition ends with a step. The step is
// then logged, evaluated and saved like the last step of a run.
func (t *timetable) ended(step int) bool { return slices.Contains(t.ends, step) }

// factor returns what the base learning rate is multiplied by at a step. It comes
// from the schedule of the part of the run that the step belongs to.
func (t *timetable) factor(step int) float64 {
	part, _ := slices.BinarySearch(t.ends, step)
	return t.lr[part].Factor(step)
}

// position returns the first example after a step: its epoch, counted from 0, and its
// index within the order of that epoch.
func (t *timetable) position(step int) (epoch, index int) {
	return step / t.perEpoch, step % t.perEpoch * t.settings.BatchSize
}

// epochs returns the number of passes over the training data that are done after a
// step, with a fraction.
func (t *timetable) epochs(step int) float64 {
	epoch, index := t.position(step)
	return float64(epoch) + float64(index)/float64(t.examples)
}

// evaluates reports whether the run evaluates the dev split and writes a checkpoint
// after a step.
func (t *timetable) evaluates(step int) bool { return step%t.evalEvery() == 0 || t.ended(step) }

// evalEvery returns the number of steps between two evaluations.
func (t *timetable) evalEvery() int {
	if every := t.settings.EvalEvery; every > 0 {
		return every
	}
	return t.perEpoch
}

// movementDeadline returns the last step of the warm-up, or the step one epoch
// after from if that is later.
func (t *timetable) movementDeadline(from int) int {
	return max(t.lr[0].Warmup(), from+max(2, t.perEpoch))
}

// reportSlots returns the number of steps whose reports the run keeps on the device: those
// between two read-backs, and at most all.
func (t *timetable) reportSlots() int { return min(t.settings.LogEvery, t.steps) }
