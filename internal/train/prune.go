package train

import (
	"github.com/lor2c/lor2c/internal/checkpoint"
)

// regular reports whether a run that nothing interrupts saves after a step.
func (r *run) regular(step int) bool {
	every := r.session.Config.Train.SaveEvery
	return r.evaluates(step) || every > 0 && step%every == 0
}

// prune removes the checkpoints that a run at its present step does not keep. It
// keeps the newest regular ones, as many as train.keep_checkpoints says, besides
// the best one and the last. Which ones these are depends on the step alone, so
// that a run that was interrupted ends with the directories of an unbroken one.
// A checkpoint that is not valid counts as none.
func (r *run) prune() error {
	steps, err := checkpoint.List(r.out, checkpointPrefix)
	if err != nil {
		return err
	}
	now, left := r.state.Step, r.session.Config.Train.KeepCheckpoints
	for i := len(steps) - 1; i >= 0; i-- {
		step := steps[i]
		if step > now || step == r.state.Best.Step {
			continue
		}
		if left > 0 && r.regular(step) && r.valid(step) {
			left--
			continue
		}
		if step == now {
			continue
		}
		if err := checkpoint.RemoveDir(checkpointAt(r.out, step)); err != nil {
			return err
		}
	}
	return nil
}

// valid reports whether a checkpoint matches its checksums. What this process
// has written or checked is not read again.
func (r *run) valid(step int) bool {
	if _, known := r.verified[step]; !known {
		r.verified[step] = checkpoint.VerifyDir(checkpointAt(r.out, step)) == nil
	}
	return r.verified[step]
}
