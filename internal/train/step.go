// Package train holds the one training loop: steps, evaluation, checkpoints and
// the checks that stop a run which has gone wrong.
package train

import (
	"errors"
	"fmt"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/optim"
	"github.com/lor2c/lor2c/internal/tape"
)

// Stepper runs optimizer steps of one model with one method.
type Stepper struct {
	Dev    compute.Device
	Model  *model.Model
	Method adapter.Method
	Opt    *optim.AdamW
	Seed   uint64
	Steps  int // of the whole run, for methods that plan ahead
	// Regression chooses mean squared error over cross-entropy.
	Regression bool

	entropy compute.CrossEntropyOpts // of training, not of evaluation
	classes []float32                // the weights in entropy, nil without any
	loss    compute.Tensor           // [1], summed over the micro-batches of a step
	ring    compute.Tensor           // [slots, ringWidth], what each step reports
	slots   int
	labels  []int32
	reports []float32
}

// What a row of the ring holds: the step's loss, then the optimizer's state.
const (
	ringLoss  = 0
	ringState = 1
	ringWidth = ringState + compute.StateLen
)

// NewStepper makes the head and the method's parameters trainable. The host
// reads what happened every slots steps.
func NewStepper(dev compute.Device, m *model.Model, method adapter.Method, c optim.Config, seed uint64, regression bool, slots int) *Stepper {
	return &Stepper{
		Dev: dev, Model: m, Method: method, Opt: optim.New(dev, c, method.Params(), m.Head()), Seed: seed, Regression: regression,
		loss: dev.Alloc(compute.Shape{1}, compute.Exact), ring: dev.Alloc(compute.Shape{slots, ringWidth}, compute.Exact), slots: slots,
		reports: make([]float32, slots*ringWidth),
	}
}

// Step queues optimizer step number step, from 1, over micro-batches that
// together are one batch, with the learning rate at factor times its base. It
// does not wait for the device, but returns a failure that is known by then. A
// batch that the model cannot take is an error and changes nothing.
func (s *Stepper) Step(step int, micro []model.Batch, factor float64) error {
	for _, b := range micro {
		if err := s.Model.Check(b); err != nil {
			return err
		}
	}
	err := guard(func() {
		s.gradient(step, micro, nil)
		s.Opt.Step(s.loss, factor)
		s.Method.Updated(s.at(step))
		row := s.ring.View((step-1)%s.slots, (step-1)%s.slots+1)
		s.Dev.Copy(row.Slice(ringLoss, compute.Shape{1}), s.loss)
		s.Dev.Copy(row.Slice(ringState, compute.Shape{compute.StateLen}), s.Opt.State())
	})
	if err != nil {
		return err
	}
	return s.Dev.Err()
}

// Change takes over what a method trains after its structure changed; the
// moments of those for which anew is set begin at zero.
func (s *Stepper) Change(anew func(*tape.Param) bool) {
	s.Opt.Change(s.Method.Params(), s.Model.Head(), anew)
}

// gradient computes the loss of a step and the gradient of its mean.
func (s *Stepper) gradient(step int, micro []model.Batch, watch func(op, name string, y compute.Tensor)) {
	examples := 0
	for _, b := range micro {
		examples += b.Len()
	}
	at := s.at(step)
	row, example := 0, 0
	for i, b := range micro {
		s.Dev.Reset()
		at.Pass = i
		s.Method.Begin(at)
		hook := s.Method.Hook(at)
		t := &tape.Tape{Dev: s.Dev, Train: true, Seed: s.Seed, Step: step, Row: row, Example: example, Watch: watch}
		// Both uploads come before the first op: what a device records of a step
		// is then in one piece.
		pass, labels := s.Model.NewPass(t, b, hook), s.upload(b.Labels)
		if i == 0 {
			s.Opt.Zero()
			s.Dev.Fill(s.loss, 0)
		}
		logits, scale := s.Model.Forward(pass), 1/float32(examples)
		if s.Regression {
			t.MSE(s.loss, logits, labels, scale)
		} else {
			t.CrossEntropy(s.loss, logits, labels, 1/s.weight(micro), s.entropy)
		}
		hook.Loss(pass, logits, func() *tape.Var { return s.Model.Forward(pass) }, s.loss, scale)
		t.Backward()
		row, example = row+len(b.IDs), example+b.Len()
	}
	s.Method.Backward(at)
}

// at returns the position of an optimizer step of training.
func (s *Stepper) at(step int) adapter.At {
	return adapter.At{Step: step, Steps: s.Steps, Train: true, Seed: s.Seed, Loss: s.loss, State: s.Opt.State()}
}

// forward runs b through the model with its method for an evaluation, and returns what the model returns;
// watch, if not nil, is shown the output of every op.
func (s *Stepper) forward(b model.Batch, watch func(op, name string, y compute.Tensor)) *tape.Var {
	s.Dev.Reset()
	at := adapter.At{Steps: s.Steps, Seed: s.Seed}
	s.Method.Begin(at)
	return s.Model.Forward(s.Model.NewPass(&tape.Tape{Dev: s.Dev, Watch: watch}, b, s.Method.Hook(at)))
}

// upload puts labels [B] on the device: values in regression, else classes.
func (s *Stepper) upload(labels []float32) compute.Tensor {
	shape := compute.Shape{len(labels)}
	if s.Regression {
		y := s.Dev.Temp(shape, compute.Exact)
		s.Dev.Upload(y, labels)
		return y
	}
	s.labels = s.labels[:0]
	for _, l := range labels {
		s.labels = append(s.labels, int32(l))
	}
	y := s.Dev.Temp(shape, compute.Int)
	s.Dev.UploadInts(y, s.labels)
	return y
}

// Report is what the device says of one step.
type Report struct {
	Step           int
	Loss, GradNorm float64
	Halted         bool // the loss or the norm was not finite; nothing was updated
}

// Reports waits for the device and returns the steps from first to last, of
// which there may be no more than slots.
func (s *Stepper) Reports(first, last int) ([]Report, error) {
	if last-first >= s.slots {
		panic(fmt.Sprintf("train: %d reports asked of a ring of %d", last-first+1, s.slots))
	}
	s.Dev.Download(s.reports, s.ring)
	if err := s.Dev.Err(); err != nil {
		return nil, err
	}
	var out []Report
	for step := first; step <= last; step++ {
		r := s.reports[(step-1)%s.slots*ringWidth:]
		out = append(out, Report{
			Step: step, Loss: float64(r[ringLoss]), GradNorm: float64(r[ringState+compute.StateNorm]), Halted: r[ringState+compute.StateHalted] != 0,
		})
	}
	return out, nil
}

// guard turns the typed panic of a tensor that does not fit, a bug, into an
// error, so that a run ends with its last checkpoint intact.
func guard(f func()) (err error) {
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
	f()
	return nil
}
