package generate

import (
	"fmt"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/dataset"
	"github.com/lor2c/lor2c/internal/place"
)

// Shares reports whether the adapter leaves the model as it is, so that other adapters can use the same network.
func (t *Texts) Shares() bool { return t.saved == nil || shares(t.saved) }

// Removable reports whether there is an adapter, without which the network can be used as well.
func (t *Texts) Removable() bool { return t.saved != nil && shares(t.saved) }

func shares(s *adapter.Saved) bool {
	return !s.Whole() && s.Method.Trains() == nil && !s.Method.ChangesWeights() && s.Method.Lead() == 0
}

// Base returns the model without the adapter, stored as the adapter needs it.
func (t *Texts) Base() *Texts {
	next := *t
	next.saved, next.template, next.chat = nil, "", nil
	return &next
}

// Trained returns the template of the prompts that the adapter was trained with, or "" if it does not say so.
func (t *Texts) Trained() string {
	if t.saved == nil {
		return ""
	}
	return t.saved.Task.Template
}

// With opens another adapter for the model, which is not loaded again. It returns an error, before it reads the
// adapter's tensors, if the adapter belongs to another model or changes the weights of its model.
func (t *Texts) With(dir string) (*Texts, error) {
	saved, err := adapter.Open(dir)
	if err != nil {
		return nil, err
	}
	next := t.Base()
	next.saved = saved
	if err := t.suits(dir, saved); err != nil {
		next.Close()
		return nil, err
	}
	next.sum = t.sum
	return next, nil
}

// suits returns an error if an adapter cannot use the network of the model.
func (t *Texts) suits(dir string, saved *adapter.Saved) error {
	switch {
	case saved.Task.Name != "" && saved.Task.Name != dataset.Instruct:
		return fmt.Errorf("generate: open %s: it is an adapter of an encoder; want one of the decoder in %s: %w", dir, t.dir,
			adapter.ErrMismatch)
	case !shares(saved):
		return place.Mistake(fmt.Errorf("generate: open %s: the method %s changes the model, which other adapters share; "+
			"use the adapter alone", dir, saved.Method.Name()))
	case saved.NF4() != t.four:
		return place.Mistake(fmt.Errorf("generate: open %s: the adapter was trained with train.quantize=%s, and the model "+
			"is loaded with %s; use the adapter alone", dir, quantized(saved.NF4()), quantized(t.four)))
	}
	sum, err := t.fingerprint()
	if err != nil {
		return err
	}
	return saved.CheckBase(adapter.Base{Path: t.dir, SHA256: sum})
}

// quantized returns the value of train.quantize.
func quantized(four bool) string {
	if four {
		return "nf4"
	}
	return "none"
}
