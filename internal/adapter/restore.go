package adapter

import (
	"errors"
	"fmt"
	"slices"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/tape"
)

// CheckBase returns an error if the adapter was trained on another base model than
// base. An adapter of PEFT does not record its base's checksum, so only its shapes are
// checked, by Restore.
func (s *Saved) CheckBase(base Base) error {
	if s.Base.SHA256 == "" || s.Base.SHA256 == base.SHA256 {
		return nil
	}
	older, err := olderFingerprint(base.Path)
	if err != nil {
		return err
	}
	if s.Base.SHA256 != older {
		return fmt.Errorf("adapter: load %s: it was trained on %s (weights %.12s), and %s has other weights (%.12s); "+
			"name its own base model: %w",
			s.dir, s.Base.Path, s.Base.SHA256, base.Path, base.SHA256, ErrMismatch)
	}
	return nil
}

// Attach creates the method of the adapter for m, without its values, which Restore reads. An error about settings or a
// structure that do not suit m names the file that has them.
func (s *Saved) Attach(dev compute.Device, m model.Network, seed uint64) (Method, error) {
	method, err := Attach(dev, m, Settings{Config: s.Method, Seed: seed}.Like(s))
	if err != nil && !s.Sealed {
		err = place.Given(err)
	}
	return method, err
}

// Restore copies the values of the file into the parameters of the method and the head.
// It returns an error if a parameter is missing or has another shape, or if the file has
// other tensors.
func (s *Saved) Restore(dev compute.Device, m Method, head []*tape.Param) error {
	own := slices.Concat(m.Params(), m.Buffers())
	if err := s.match(own, head, nil); err != nil {
		return err
	}
	for _, p := range slices.Concat(own, head) {
		if err := s.upload(dev, p, nil); err != nil {
			return err
		}
	}
	return errors.Join(m.Restored(), dev.Err())
}

// Begin copies the values of the adapter into the method's parameters, for a new run
// that starts with them. It also copies the head if its labels are the given ones in
// any order, nil for regression, and puts its outputs into the order of labels.
// Otherwise it leaves the head unchanged and returns false. An adapter of PEFT does not
// record its labels.
func (s *Saved) Begin(dev compute.Device, m Method, head []*tape.Param, labels []string) (tookHead bool, err error) {
	own := slices.Concat(m.Params(), m.Buffers())
	order, same := s.outputs(labels)
	if same {
		err = s.match(own, head, nil)
	} else {
		err = s.match(own, nil, head)
	}
	if err != nil {
		return false, err
	}
	for _, p := range own {
		if err := s.upload(dev, p, nil); err != nil {
			return false, err
		}
	}
	if err := m.Restored(); err != nil {
		return false, err
	}
	if !same {
		return false, dev.Err()
	}
	for i, p := range head {
		rows := order
		if i < len(head)-2 { // the last two parameters of the head are weight and bias of the outputs
			rows = nil
		}
		if err := s.upload(dev, p, rows); err != nil {
			return false, err
		}
	}
	return true, dev.Err()
}

// outputs returns the output of the saved head for each of labels, and whether the
// labels of both are the same.
func (s *Saved) outputs(labels []string) (order []int, same bool) {
	if s.Task.Name == "" || len(labels) != len(s.Task.Labels) {
		return nil, false
	}
	for _, label := range labels {
		at := slices.Index(s.Task.Labels, label)
		if at < 0 {
			return nil, false
		}
		order = append(order, at)
	}
	return order, true
}

// match returns an error unless the file has exactly the tensors of own and
// head, with their shapes. It may also have the tensors of left.
func (s *Saved) match(own, head, left []*tape.Param) error {
	params := slices.Concat(own, head)
	for i, p := range params {
		name := fileName(s.Method, p)
		_, shape, ok := s.file.Info(name)
		if !ok && s.leftOut(name) {
			continue
		}
		if !ok {
			what := "tensor"
			if i >= len(own) {
				what = "tensor of the classification head"
			}
			return fmt.Errorf("adapter: load %s: the %s %s is missing; want all %d tensors of the method and the head: %w",
				s.path, what, name, len(params), ErrMismatch)
		}
		if !s.fits(name, shape, p.Value.Shape) {
			return fmt.Errorf("adapter: load %s: %s is %v; the model and the method need %v: %w", s.path, name, shape,
				[]int(p.Value.Shape), ErrMismatch)
		}
	}
	known := slices.Concat(params, left)
	for _, name := range s.file.Names() {
		if !slices.ContainsFunc(known, func(p *tape.Param) bool { return fileName(s.Method, p) == name }) {
			return fmt.Errorf("adapter: load %s: unexpected tensor %s: method %s has no such parameter on this model: %w",
				s.path, place.List([]string{name}), s.Method.name, ErrMismatch)
		}
	}
	return nil
}

// upload copies the file's values of a parameter to the device. If order is not
// nil, row i of the parameter is row order[i] of the file.
func (s *Saved) upload(dev compute.Device, p *tape.Param, order []int) error {
	name := fileName(s.Method, p)
	_, shape, ok := s.file.Info(name)
	if !ok { // see match
		if _, leaf, _ := modulePath(name); !startsNeutral(leaf) {
			p.Upload(dev, make([]float32, p.Value.Shape.Len()))
		}
		return nil
	}
	values := make([]float32, compute.Shape(shape).Len())
	if err := s.file.ReadFinite(values, name); err != nil {
		return err
	}
	values = s.spread(name, values, shape, p.Value.Shape)
	if order != nil {
		width, sorted := len(values)/len(order), make([]float32, 0, len(values))
		for _, row := range order {
			sorted = append(sorted, values[row*width:(row+1)*width]...)
		}
		values = sorted
	}
	p.Upload(dev, values)
	return nil
}

// leftOut reports whether a tensor is one of a module that the configuration leaves out.
func (s *Saved) leftOut(name string) bool {
	module, _, ok := modulePath(name)
	return s.scope != nil && ok && !s.scope.adapts(module)
}

// fits reports whether a tensor of the file, of shape have, has the values of a parameter of shape want.
func (s *Saved) fits(name string, have, want []int) bool {
	_, leaf, ok := modulePath(name)
	at := rankDimension(leaf)
	if s.scope == nil || !ok || len(have) != 2 || at < 0 {
		return slices.Equal(have, want)
	}
	return have[at] <= want[at] && have[1-at] == want[1-at]
}

// spread returns the values of a tensor of the file, of shape have, in a parameter of shape want.
func (s *Saved) spread(name string, values []float32, have, want []int) []float32 {
	module, leaf, ok := modulePath(name)
	if s.scope == nil || !ok {
		return values
	}
	if !slices.Equal(have, want) {
		rows, at := positions(s.scope.kept[module+".lora_E"]), rankDimension(leaf)
		wide := make([]float32, want[0]*want[1])
		for i, x := range values {
			to := [2]int{i / have[1], i % have[1]}
			if rows != nil {
				to[at] = rows[to[at]]
			}
			wide[to[0]*want[1]+to[1]] = x
		}
		values = wide
	}
	if factor, ok := s.scope.scales[module]; ok && factor != 1 && rankDimension(leaf) == 1 && s.scope.kept == nil {
		for i := range values {
			values[i] *= factor
		}
	}
	return values
}
