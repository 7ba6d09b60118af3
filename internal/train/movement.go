package train

import (
	"fmt"
	"slices"

	"github.com/lor2c/lor2c/internal/tape"
)

// movementCheck checks that training changes every trainable parameter: each
// must have received a gradient and must differ from its initial value. Weight
// decay alone changes a parameter too, so the check requires both.
//
// In the first steps of a warm-up the learning rate may be too small to change a
// float32 near 1, which is not a fault. A parameter is stuck if AdamW computed an
// update that is large enough to change a float32 and the value is still the
// initial one, or if the value is still the initial one at the deadline.
type movementCheck struct {
	stepper  *Stepper
	from     int // the step after which the check began
	deadline int // the step by which every parameter must have moved
	watched  int // number of parameters when the check began
	// unmoved maps each parameter that has not moved yet to its initial values.
	unmoved map[*tape.Param][]float32
	// noGradient is the set of parameters that have not received a gradient yet.
	noGradient map[*tape.Param]bool
}

// movementState is an unfinished check in a checkpoint. The initial values of the
// unmoved parameters are not stored: they are the values in the checkpoint itself.
type movementState struct {
	From       int      `json:"from"`
	Watched    int      `json:"watched"`
	Unmoved    []string `json:"still"`
	NoGradient []string `json:"dry"`
}

// newMovementCheck begins a check of params after step from.
func newMovementCheck(s *Stepper, from, deadline int, params []*tape.Param) *movementCheck {
	m := &movementCheck{s, from, deadline, len(params), map[*tape.Param][]float32{}, map[*tape.Param]bool{}}
	for _, p := range params {
		m.watch(p)
		m.noGradient[p] = true
	}
	return m
}

// watch saves the present value of a parameter as its initial value.
func (m *movementCheck) watch(p *tape.Param) {
	m.unmoved[p] = p.Values(m.stepper.Dev)
}

// startMovementCheck begins a check of all parameters that the run trains after
// step from. The head is left out when its learning rate is 0.
func (r *run) startMovementCheck(from int) *movementCheck {
	params := r.stepper.Opt.Params()
	if r.session.Config.Optim.HeadLRRatio == 0 {
		params = slices.DeleteFunc(params, func(p *tape.Param) bool { return slices.Contains(r.stepper.Model.Head(), p) })
	}
	return newMovementCheck(r.stepper, from, r.movementDeadline(from), params)
}

// checkMovement returns the check of a run that begins, or if continued is set the one that was unfinished when the
// checkpoint was saved. It returns nil if there was none.
func (r *run) checkMovement(continued bool) *movementCheck {
	if !continued {
		return r.startMovementCheck(0)
	}
	s := r.state.Movement
	if s == nil {
		return nil
	}
	m := newMovementCheck(r.stepper, s.From, r.movementDeadline(s.From), nil)
	m.watched = s.Watched
	for _, p := range r.stepper.Opt.Params() {
		if slices.Contains(s.Unmoved, p.Name) {
			m.watch(p)
		}
		if slices.Contains(s.NoGradient, p.Name) {
			m.noGradient[p] = true
		}
	}
	return m
}

// state returns what a checkpoint needs to continue the check, or nil if the
// check is finished.
func (m *movementCheck) state() *movementState {
	if m == nil {
		return nil
	}
	s := &movementState{From: m.from, Watched: m.watched, Unmoved: []string{}, NoGradient: []string{}}
	for _, p := range m.stepper.Opt.Params() {
		if m.unmoved[p] != nil {
			s.Unmoved = append(s.Unmoved, p.Name)
		}
		if m.noGradient[p] {
			s.NoGradient = append(s.NoGradient, p.Name)
		}
	}
	return s
}

// done reports whether every parameter has moved and has received a gradient.
func (m *movementCheck) done() bool { return len(m.unmoved) == 0 && len(m.noGradient) == 0 }

// check checks the remaining parameters after a step, whose learning rate was
// factor times the base rate. It returns an error that names the first parameter
// that is stuck.
func (m *movementCheck) check(step int, factor float64) error {
	var noGradient, stuck, slow []string
	for at, moment := range m.stepper.Opt.Moments() {
		p := moment.Param
		start, unmoved := m.unmoved[p], m.unmoved[p] != nil
		if !unmoved && !m.noGradient[p] {
			continue
		}
		n := p.Value.Shape.Len()
		value, mean, square := p.Values(m.stepper.Dev), make([]float32, n), make([]float32, n)
		m.stepper.Dev.Download(mean, moment.First)
		m.stepper.Dev.Download(square, moment.Second)
		if slices.ContainsFunc(square, func(x float32) bool { return x != 0 }) {
			delete(m.noGradient, p)
		} else if !m.mayLackGradient(p, step) {
			noGradient = append(noGradient, p.Name)
		}
		switch {
		case !unmoved:
		case !slices.Equal(value, start):
			delete(m.unmoved, p)
		case m.noGradient[p]: // reported for its missing gradient
		case m.stepper.Opt.Reach(at, factor, value, mean, square) > 1:
			stuck = append(stuck, p.Name)
		case step >= m.deadline:
			slow = append(slow, p.Name)
		}
	}
	fault := func(names []string, what string) error {
		return fmt.Errorf("train: step %d: %d of %d trainable tensors have not changed, the first is %s; %s",
			step, len(names), m.watched, names[0], what)
	}
	switch {
	case noGradient != nil:
		cause := "optim.lr is too high, or the method or its configuration is wrong"
		if step == 1 {
			// No rate has been applied yet.
			cause = "the outputs are too large, as with a large method.alpha, or the method or its configuration is wrong"
		}
		return fault(noGradient, "their gradients are 0, because "+cause)
	case stuck != nil:
		return fault(stuck,
			"AdamW computed updates and the values are the same as before, so the method or its configuration is wrong")
	case slow != nil:
		return fault(slow, fmt.Sprintf("since step %d every update was too small to change a float32; "+
			"use a higher optim.lr or a lower optim.eps", m.from+1))
	}
	return nil
}

// mayLackGradient reports whether a parameter may still be without a gradient
// after step. The gradient of a factor A is zero while its B is zero, which is so
// in the first step and until a B has moved.
func (m *movementCheck) mayLackGradient(p *tape.Param, step int) bool {
	switch p.Idle {
	case tape.NeverIdle:
		return false
	case tape.OftenIdle:
		return true
	}
	if step <= m.from+1 {
		return true
	}
	for _, other := range m.stepper.Method.Params() {
		if m.unmoved[other] != nil && other.Idle == tape.NeverIdle {
			return true
		}
	}
	return false
}
