// Package train implements the training loop: optimizer steps, evaluation,
// checkpoints, and the checks that stop a run whose values are not finite or whose
// parameters do not change.
package train

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/optim"
	"github.com/lor2c/lor2c/internal/tape"
)

// Stepper runs the optimizer steps of one model and one method on a device. It only
// queues work: the device writes the loss and the optimizer's state of each step
// into a ring buffer, which Reports reads back.
type Stepper struct {
	Dev    compute.Device
	Model  model.Network
	Method adapter.Method
	Opt    *optim.AdamW
	Seed   uint64
	Steps  int // optimizer steps of the whole run, for methods that schedule changes
	View   int // the form of the method in evaluations, see adapter.Viewer; 0 is the method as it is
	// Objective is the training objective of the network.
	Objective Objective
	// Evaluating, if not nil, is called with the number of finished batches of an
	// evaluation.
	Evaluating func(done, batches int)

	shared *sharing // nil if this process computes all micro-batches and adds their gradients in place

	loss compute.Tensor // [1], summed over the micro-batches of a step
	// ring [slots, ringWidth] has one row per step since the last read-back: step n is
	// in row (n-1) % slots, so a new step overwrites the one that is slots steps older.
	ring    compute.Tensor
	slots   int
	reports []float32 // reused by Reports, the ring on the host
}

// These are the columns of a row of the ring: the loss of the step, then the
// optimizer's state.
const (
	ringLoss  = 0
	ringState = 1
	ringWidth = ringState + compute.StateLen
)

// NewStepper returns a stepper that trains the head of m and the parameters of
// method. The caller must call Reports at least once every slots steps.
func NewStepper(dev compute.Device, m model.Network, method adapter.Method, c optim.Config, seed uint64,
	objective Objective, slots int) *Stepper {
	return &Stepper{
		Dev: dev, Model: m, Method: method, Opt: optim.New(dev, c, method.Params(), m.Head()),
		Seed: seed, Objective: objective, slots: slots,
		loss:    dev.Alloc(compute.Shape{1}, compute.Exact),
		ring:    dev.Alloc(compute.Shape{slots, ringWidth}, compute.Exact),
		reports: make([]float32, slots*ringWidth),
	}
}

// Step queues optimizer step number step, counted from 1, over micro-batches that
// together form one batch. The learning rate is factor times the base rate. Step
// does not wait for the device; it returns a device failure if one is known by
// then. It returns an error, and queues nothing, if the model cannot process a
// micro-batch.
func (s *Stepper) Step(step int, micro []model.Batch, factor float64) error {
	for _, b := range micro {
		if err := s.Model.Check(b); err != nil {
			return err
		}
	}
	err := guard(func() error {
		if err := s.gradient(step, micro, nil); err != nil {
			return err
		}
		s.Opt.Step(s.loss, factor)
		s.Method.Updated(s.at(step))
		row := s.ring.View((step-1)%s.slots, (step-1)%s.slots+1)
		s.Dev.Copy(row.Slice(ringLoss, compute.Shape{1}), s.loss)
		s.Dev.Copy(row.Slice(ringState, compute.Shape{compute.StateLen}), s.Opt.State())
		return nil
	})
	return cmp.Or(err, s.Dev.Err())
}

// Change tells the optimizer that the method's parameters have changed. The moments
// of new parameters, and of those for which reset returns true, start at zero.
func (s *Stepper) Change(reset func(*tape.Param) bool) {
	s.Opt.Change(s.Method.Params(), s.Model.Head(), reset)
}

// gradient queues the forward and backward passes of a step. Afterwards s.loss has
// the loss summed over the micro-batches, and every trainable parameter has the
// gradient of the mean loss. With several ranks it waits for them. watch, if not nil, is called with the output of
// every op; this process then computes all micro-batches.
func (s *Stepper) gradient(step int, micro []model.Batch, watch func(op, name string, y compute.Tensor)) error {
	examples := 0
	for _, b := range micro {
		examples += b.Len()
	}
	at := s.at(step)
	divisor := s.Objective.divisor(micro)
	var shared *sharing
	if watch == nil {
		shared = s.shared.begin(s, micro)
	}
	row, read, zero := 0, 0, true
	for i, b := range micro {
		if !shared.computes(i) {
			row, read = row+len(b.IDs), read+b.Rows()
			continue
		}
		s.Dev.Reset()
		at.Pass = i
		s.Method.Begin(at)
		hook := s.Method.Hook(at)
		t := &tape.Tape{Dev: s.Dev, Train: true, Seed: s.Seed, Step: step, Row: row, Read: read, Watch: watch}
		// Both uploads come before the first op, so that a device which records the
		// ops of a step records them without an interruption.
		pass, y := s.Model.NewPass(t, b, hook), s.Objective.upload(s.Dev, b, true)
		if zero {
			s.Opt.Zero()
			s.Dev.Fill(s.loss, 0)
			zero = shared.separates()
		}
		out := s.Model.Forward(pass)
		s.Objective.loss(t, s.loss, out, y, 1/divisor)
		hook.Loss(pass, out, func() *tape.Var { return s.Model.Forward(pass) }, s.loss, 1/float32(examples))
		t.Backward()
		shared.passed(s)
		row, read = row+len(b.IDs), read+b.Rows()
	}
	if err := shared.finish(s); err != nil {
		return err
	}
	s.Method.Backward(at)
	return nil
}

// at returns the argument of the method's functions for an optimizer step.
func (s *Stepper) at(step int) adapter.At {
	return adapter.At{Step: step, Steps: s.Steps, Train: true, Seed: s.Seed, Loss: s.loss, State: s.Opt.State()}
}

// forward queues the forward pass of an evaluation of b, without dropout, and returns the result of the objective.
// watch, if not nil, is called with the output of every op.
func (s *Stepper) forward(b model.Batch, watch func(op, name string, y compute.Tensor)) compute.Tensor {
	s.Dev.Reset()
	at := adapter.At{Steps: s.Steps, Seed: s.Seed, View: s.View}
	s.Method.Begin(at)
	t := &tape.Tape{Dev: s.Dev, Watch: watch}
	pass, y := s.Model.NewPass(t, b, s.Method.Hook(at)), s.Objective.upload(s.Dev, b, false)
	return s.Objective.result(t, s.Model.Forward(pass), y)
}

// Report is the outcome of one optimizer step, as the device computed it.
type Report struct {
	Step           int
	Loss, GradNorm float64
	Halted         bool // the loss or the norm was not finite; nothing was updated
}

// Reports waits for the device and returns the reports of steps first to last. It
// panics if these are more steps than the ring has slots.
func (s *Stepper) Reports(first, last int) ([]Report, error) {
	if last-first >= s.slots {
		panic(fmt.Sprintf("train: %d reports requested, and the ring has %d slots", last-first+1, s.slots))
	}
	s.Dev.Download(s.reports, s.ring)
	if err := s.Dev.Err(); err != nil {
		return nil, err
	}
	var out []Report
	for step := first; step <= last; step++ {
		r := s.reports[(step-1)%s.slots*ringWidth:]
		out = append(out, Report{
			Step: step, Loss: float64(r[ringLoss]), GradNorm: float64(r[ringState+compute.StateNorm]),
			Halted: r[ringState+compute.StateHalted] != 0,
		})
	}
	return out, nil
}

// guard returns the error of f. It turns a panic about the shape or type of a tensor, which is a
// bug in lor2c, into an error, so that the run closes its log and keeps its last
// checkpoint.
func guard(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			switch bug := r.(type) {
			case *compute.ShapeError, *compute.TypeError:
				err = errors.Join(errors.New("train: step: this is a bug in lor2c"), bug.(error))
			default:
				panic(r)
			}
		}
	}()
	return f()
}
