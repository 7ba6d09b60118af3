package adapter

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/tape"
)

// SHA256 returns the SHA-256 of the tensors of the adapter as 64 hexadecimal
// digits.
func (s *Saved) SHA256() (string, error) {
	name := tensorsFile
	if s.Method.wholeModel() {
		name = modelFile
	}
	sum, err := checkpoint.HashFiles(filepath.Join(s.dir, name))
	if err != nil {
		return "", fmt.Errorf("adapter: read %s: %w", s.dir, err)
	}
	return sum, nil
}

// Injected reports whether modules of the adapter were replaced by others when it was trained.
func (s *Saved) Injected() bool {
	layout, err := parseStructure(s.Structure, s.Base.Layers)
	return err == nil && len(layout.Injected) > 0
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
