package train

import (
	"context"
	"fmt"

	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/runlog"
	"github.com/lor2c/lor2c/internal/schedule"
)

// loop trains from the step after the state's to the end of the run, or until early
// stopping ends it. When ctx ends it saves a checkpoint and returns an error that
// wraps ErrInterrupted.
func (r *run) loop(ctx context.Context) error {
	t := r.session.Config.Train
	for step := r.state.Step + 1; step <= r.steps && !r.state.Waiting.over(t); step++ {
		indices := r.session.step(r.train.Len(), step)
		micro := r.train.micro(indices, t)
		if r.group != nil {
			r.group.Mark(step)
		}
		if err := r.stepper.Step(step, micro, r.factor(step)); err != nil {
			return err
		}
		if r.gradients != nil {
			r.gradients.add()
		}
		tokens := 0
		for _, b := range micro {
			tokens += len(b.IDs)
		}
		r.log.Advance(step, len(indices), tokens)
		if r.stepped != nil {
			r.stepped()
		}

		// ctx is checked once per step. A signal that arrives later in this step is
		// handled in the next, so that the step which is interrupted is also saved.
		interrupted := r.interrupted(ctx)
		evaluates := !r.replays && r.evaluates(step)
		save := !r.replays && (r.regular(step) || interrupted)
		if save || r.movement != nil || step%t.LogEvery == 0 || r.stepper.Method.Due(r.stepper.at(step)) {
			if err := r.readBack(step); err != nil {
				return err
			}
		}
		if err := r.boundary(ctx, step, evaluates); err != nil {
			return err
		}
		if save {
			if err := r.save(); err != nil {
				return err
			}
		}
		if interrupted && r.replays {
			return fmt.Errorf("train: step %d of %d: %w; there was nothing to save", step, r.steps, ErrInterrupted)
		}
		if interrupted && step < r.steps && !r.state.Waiting.over(t) {
			return fmt.Errorf("train: step %d of %d: %w; the state is in %s, the same command continues",
				step, r.steps, ErrInterrupted, r.out)
		}
	}
	return nil
}

// boundary does what is due after a step: it records gradients, changes the method's
// structure and evaluates. As in the authors' release, the structure changes before
// the evaluation, unless schedule.evaluate says otherwise.
func (r *run) boundary(ctx context.Context, step int, evaluates bool) error {
	evaluate := func() error {
		if !evaluates {
			return nil
		}
		return r.evaluate(ctx)
	}
	if step%r.perEpoch == 0 || r.ended(step) {
		if err := r.recordGradients(step); err != nil {
			return err
		}
	}
	first, second := func() error { return r.restructure(ctx, step) }, evaluate
	if r.session.Config.Schedule.Evaluate == schedule.EvaluateBefore {
		first, second = second, first
	}
	if err := first(); err != nil {
		return err
	}
	return second()
}

// readBack waits for the device, reads the reports of the steps since the last call
// and returns an error if one of them was not finite or a parameter is stuck. If a
// logging window ends with step, it logs the mean loss of the window.
func (r *run) readBack(step int) error {
	reports, err := r.stepper.Reports(r.state.Step+1, step)
	if err != nil {
		return err
	}
	for _, p := range reports {
		if p.Halted {
			indices := r.session.step(r.train.Len(), p.Step)
			return r.stepper.diagnose(p.Step, r.train.micro(indices, r.session.Config.Train), r.train.where(indices))
		}
		r.state.WindowLoss += p.Loss
		r.state.TotalLoss += p.Loss
		r.state.WindowSteps++
	}
	if r.movement != nil {
		if err := r.movement.check(step, r.factor(step)); err != nil {
			return err
		}
		if r.movement.done() {
			r.movement = nil
		}
	}
	r.advance(step)
	if step%r.session.Config.Train.LogEvery == 0 || r.ended(step) {
		r.log.Train(runlog.Train{
			Step: step, Epoch: r.epochs(step), Loss: r.state.WindowLoss / float64(r.state.WindowSteps),
			LearningRate: r.session.Config.Optim.LR * r.factor(step), GradNorm: reports[len(reports)-1].GradNorm,
		})
		r.state.WindowLoss, r.state.WindowSteps = 0, 0
	}
	return r.log.Err()
}

// advance sets the state's position to the first example after step.
func (r *run) advance(step int) {
	r.state.Step = step
	r.state.Epoch, r.state.Index = r.position(step)
}

// evaluate evaluates the dev split, logs the scores and updates the state of the best
// epoch and of early stopping.
func (r *run) evaluate(ctx context.Context) error {
	task := r.session.Set.Task
	// An interrupt does not stop the evaluation, because the checkpoint of the step
	// must follow the record of its evaluation.
	r.stepper.Evaluating = func(done, batches int) { r.log.Progress("evaluating", done, batches) }
	e, err := r.stepper.evaluate(context.WithoutCancel(ctx), r.test, sequence(r.test.Len()), task.Metrics,
		r.session.Config.Train)
	if err != nil {
		return err
	}
	score := metric.Merit(task.Select, e.Scores[task.Select])
	epoch := r.epochs(r.state.Step)
	rec := runlog.Eval{
		Step: r.state.Step, Epoch: epoch, Split: "dev", Loss: e.Loss, Scores: e.Scores, Intervals: e.Intervals,
	}
	if b := r.state.Best; b.Step == 0 || metric.Better(score, b.value()) {
		rec.Best = true
		r.state.Best = newBest(r.state.Step, epoch, score)
	}
	r.log.Eval(rec)
	t := r.session.Config.Train
	if r.state.Waiting.add(score, t.MinDelta); r.state.Waiting.over(t) && r.state.Step < r.steps {
		r.log.Printf("stopping early: %s did not improve in the last %s (train.early_stopping); "+
			"%d of %d steps are done", task.Select, place.Count(r.state.Waiting.Evaluations, "evaluation", "evaluations"),
			r.state.Step, r.steps)
	}
	return r.log.Err()
}
