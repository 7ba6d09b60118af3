package train

import (
	"context"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/schedule"
	"github.com/lor2c/lor2c/internal/tape"
)

// restructure applies the changes of structure, such as merges and injections, that the
// method has due after a step.
func (r *run) restructure(ctx context.Context, step int) error {
	method, at := r.stepper.Method, r.stepper.at(step)
	at.Epoch = r.epochs(step)
	if !method.Due(at) {
		return nil
	}
	changed := false
	for {
		change, err := method.Change(at, methodRun{r, ctx})
		if err != nil {
			return err
		}
		if change == nil {
			break
		}
		if err := r.apply(step, change); err != nil {
			return err
		}
		changed = true
	}
	if !changed {
		return nil
	}
	plan, err := r.session.plan(r.dev, r.train, r.test, r.settings(method.Structure(), method.Progress()))
	if err != nil {
		return err
	}
	r.dev.Reserve(plan.Arena)
	r.movement = r.startMovementCheck(step)
	return r.dev.Err()
}

// apply updates the optimizer, the sums of gradients and the log after a change of the
// method's structure.
func (r *run) apply(step int, change *adapter.Change) error {
	// The sums so far are those of the parameters before the change, so they are logged
	// first.
	if err := r.recordGradients(step); err != nil {
		return err
	}
	reset := map[*tape.Param]bool{}
	for _, p := range change.Reset {
		reset[p] = true
	}
	r.stepper.Change(func(p *tape.Param) bool { return reset[p] })
	if r.gradients != nil {
		r.gradients.close()
		r.gradients = newGradientSums(r.stepper)
	}
	return methodRun{r: r}.Log(change.Log)
}

// methodRun is the interface of a run to its method.
type methodRun struct {
	r   *run
	ctx context.Context
}

// Losses returns the mean loss, and the loss of each example, on the what-if
// sample with the given hook in place of the method's. An interrupt does not
// stop it, so that an event that has begun is finished. The console shows trial
// of trials as progress.
func (m methodRun) Losses(
	hook func(adapter.At) model.Hook, trial, trials int,
) (mean float64, each []float64, err error) {
	s := *m.r.stepper
	s.Method = hooked{s.Method, hook}
	s.Evaluating = func(int, int) { m.r.log.Progress("what-if", trial, trials) }
	e, err := s.evaluate(context.WithoutCancel(m.ctx), m.r.test, m.r.session.sample(m.r.test.Len()), nil,
		m.r.session.Config.Train)
	return e.Loss, e.Losses, err
}

// Log writes a record of the method's structure to the log.
func (m methodRun) Log(rec schedule.Record) error {
	m.r.log.Structure(rec)
	return m.r.log.Err()
}

// Printf writes a line to the log.
func (m methodRun) Printf(format string, a ...any) { m.r.log.Printf(format, a...) }

// hooked is a method with another hook.
type hooked struct {
	adapter.Method
	hook func(adapter.At) model.Hook
}

// Hook returns the hook that was given in place of the method's.
func (h hooked) Hook(at adapter.At) model.Hook { return h.hook(at) }
