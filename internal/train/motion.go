package train

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/tape"
)

// motion checks that training trains: that every parameter has had a gradient
// and has left its start. Weight decay alone moves a parameter too, so the one
// without the other proves nothing.
//
// In the first steps of a warm-up the rate may be too small to change a float32
// near 1, and that is no fault. A parameter stands still if AdamW asked for a
// change that float32 can hold and none came, or if none came by the deadline.
type motion struct {
	stepper  *Stepper
	from     int // the step after which the check began
	deadline int // the step by which every parameter must have moved
	watched  int // parameters at the beginning
	// still holds the first values of the parameters that have not moved yet,
	// dry the parameters without a gradient so far.
	still map[*tape.Param][]float32
	dry   map[*tape.Param]bool
}

// motionState is an unfinished check in a checkpoint. The parameters that have
// not moved have their first values in the checkpoint itself.
type motionState struct {
	From    int      `json:"from"`
	Watched int      `json:"watched"`
	Still   []string `json:"still"`
	Dry     []string `json:"dry"`
}

// watchMotion begins a check of params after step from.
func watchMotion(s *Stepper, from, deadline int, params []*tape.Param) *motion {
	m := &motion{s, from, deadline, len(params), map[*tape.Param][]float32{}, map[*tape.Param]bool{}}
	for _, p := range params {
		m.watch(p)
		m.dry[p] = true
	}
	return m
}

// watch notes a parameter's value as its first.
func (m *motion) watch(p *tape.Param) {
	m.still[p] = make([]float32, p.Value.Shape.Len())
	m.stepper.Dev.Download(m.still[p], p.Exact())
}

// watchMotion begins to watch what the run trains after a step.
func (r *run) watchMotion(from int) *motion {
	params := r.stepper.Opt.Params()
	if r.session.Config.Optim.HeadLRRatio == 0 {
		params = slices.DeleteFunc(params, func(p *tape.Param) bool { return slices.Contains(r.stepper.Model.Head(), p) })
	}
	return watchMotion(r.stepper, from, r.motionDeadline(from), params)
}

// motionDeadline is the end of the warm-up, or of an epoch after from if that
// comes later.
func (r *run) motionDeadline(from int) int { return max(r.lr[0].Warmup(), from+max(2, r.perEpoch)) }

// continueMotion goes on with the check that a checkpoint holds, if one does.
func (r *run) continueMotion() *motion {
	s := r.state.Motion
	if s == nil {
		return nil
	}
	m := watchMotion(r.stepper, s.From, r.motionDeadline(s.From), nil)
	m.watched = s.Watched
	for _, p := range r.stepper.Opt.Params() {
		if slices.Contains(s.Still, p.Name) {
			m.watch(p)
		}
		if slices.Contains(s.Dry, p.Name) {
			m.dry[p] = true
		}
	}
	return m
}

// state returns what a checkpoint needs to go on with the check; nil if it is
// done.
func (m *motion) state() *motionState {
	if m == nil {
		return nil
	}
	s := &motionState{From: m.from, Watched: m.watched, Still: []string{}, Dry: []string{}}
	for _, p := range m.stepper.Opt.Params() {
		if m.still[p] != nil {
			s.Still = append(s.Still, p.Name)
		}
		if m.dry[p] {
			s.Dry = append(s.Dry, p.Name)
		}
	}
	return s
}

// done reports whether nothing is left to check.
func (m *motion) done() bool { return len(m.still) == 0 && len(m.dry) == 0 }

// check looks at what is left to check after a step, whose rate was factor times
// the base rate. Its error names the first parameter that stands still.
func (m *motion) check(step int, factor float64) error {
	var dry, stuck, slow []string
	at := -1
	err := moments(m.stepper, func(p *tape.Param, first, second compute.Tensor) error {
		at++
		start, still := m.still[p], m.still[p] != nil
		if !still && !m.dry[p] {
			return nil
		}
		value, mean, square := make([]float32, p.Value.Shape.Len()), make([]float32, p.Value.Shape.Len()), make([]float32, p.Value.Shape.Len())
		m.stepper.Dev.Download(value, p.Exact())
		m.stepper.Dev.Download(mean, first)
		m.stepper.Dev.Download(square, second)
		if slices.ContainsFunc(square, func(x float32) bool { return x != 0 }) {
			delete(m.dry, p)
		} else if !m.mayBeDry(p, step) {
			dry = append(dry, p.Name)
		}
		switch {
		case !still:
		case !slices.Equal(value, start):
			delete(m.still, p)
		case m.dry[p]: // its gradient is what is missing
		case m.stepper.Opt.Reach(at, factor, value, mean, square) > 1:
			stuck = append(stuck, p.Name)
		case step >= m.deadline:
			slow = append(slow, p.Name)
		}
		return nil
	})
	if err != nil {
		return err
	}
	fault := func(names []string, what string) error {
		return fmt.Errorf("train: step %d: %d of %d trainable tensors have not moved, first %s; %s", step, len(names), m.watched, names[0], what)
	}
	switch {
	case dry != nil:
		return fault(dry, "their gradients are 0, because optim.lr is too high, or the method or its configuration is wrong")
	case stuck != nil:
		return fault(stuck, "AdamW has changed them and they are as before, so the method or its configuration is wrong")
	case slow != nil:
		return fault(slow, fmt.Sprintf("since step %d every update was too small to change a float32; want a higher optim.lr or a lower optim.eps", m.from+1))
	}
	return nil
}

// mayBeDry reports whether a parameter needs no gradient yet. A factor A has none
// while B is zero: in the first step, and until a B has moved.
func (m *motion) mayBeDry(p *tape.Param, step int) bool {
	if !strings.Contains(p.Name, ".lora_A.") {
		return false
	}
	if step <= m.from+1 {
		return true
	}
	for other := range m.still {
		if strings.Contains(other.Name, ".lora_B.") {
			return true
		}
	}
	return false
}
