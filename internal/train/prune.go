package train

import (
	"github.com/lor2c/lor2c/internal/checkpoint"
)

// regular reports whether a run that is not interrupted saves a checkpoint after a
// step.
func (r *run) regular(step int) bool {
	every := r.session.Config.Train.SaveEvery
	return r.evaluates(step) || every > 0 && step%every == 0
}

// prune removes old checkpoints. It keeps the best one, the one of the present step,
// and the newest regular ones, whose number train.keep_checkpoints sets. Which
// checkpoints stay depends only on the step, so a run that was interrupted ends with
// the same directories as one that was not. A checkpoint that does not match its
// checksums is not counted.
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

// valid reports whether the checkpoint of a step matches its checksums. It reads each
// checkpoint at most once, and none that this process wrote.
func (r *run) valid(step int) bool {
	if _, known := r.verified[step]; !known {
		r.verified[step] = checkpoint.VerifyDir(checkpointAt(r.out, step)) == nil
	}
	return r.verified[step]
}
