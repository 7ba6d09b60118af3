package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/dataset"
	"github.com/lor2c/lor2c/internal/instruct"
	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/tokenizer"
)

// Session is the data, the tokenizer and the base model of one configuration, which
// training, evaluation and showing examples all need.
type Session struct {
	Config    *config.Config
	Dir       string // directory of the base model, resolved if c names a model in the Hugging Face cache
	Set       *dataset.Set
	Tokenizer *tokenizer.Tokenizer
	Model     baseModel
	MaxLength int // largest number of tokens of an example, special tokens included
	cacheDir  string
	source    source
	template  string  // of the training rows, in instruction data
	order     []int32 // order of the training examples in epoch, computed by step
	epoch     int
}

// OpenSession opens the data, tokenizer and base model that c names and checks what
// can be checked without a device. splits are the splits that will be loaded; without
// any they are those of a training run.
func OpenSession(ctx context.Context, c *config.Config, splits ...string) (*Session, error) {
	return openSession(ctx, c, splits, nil)
}

// openSession is OpenSession with the labels of a trained adapter, which replace those
// of the data.
func openSession(ctx context.Context, c *config.Config, splits, labels []string) (*Session, error) {
	s := &Session{Config: c}
	var err error
	if s.Set, s.source, err = s.openData(ctx, splits, labels); err != nil {
		return nil, loading(err)
	}
	if s.Dir, err = model.Find(c.Model); err != nil {
		return nil, err
	}
	if err := s.openModel(); err != nil {
		return nil, err
	}
	if dir, err := os.UserCacheDir(); err == nil {
		s.cacheDir = filepath.Join(dir, "lor2c", "tokens")
	}
	return s, nil
}

// loading returns err, or an error that wraps ErrInterrupted if err means that
// the context ended while data were loaded.
func loading(err error) error {
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("train: load the data: %w; there was nothing to save", ErrInterrupted)
	}
	return err
}

// openData opens the data of the configuration.
func (s *Session) openData(ctx context.Context, splits, labels []string) (*dataset.Set, source, error) {
	c := s.Config
	if !c.Data.IsInstruct() {
		set, err := dataset.Open(ctx, c.Data, dataset.Request{Splits: splits, Labels: labels, Seed: c.Seed})
		return set, texts{s}, err
	}
	if faults := c.Data.Validate(); len(faults) > 0 {
		return nil, nil, place.Mistake(errors.Join(faults...))
	}
	return &dataset.Set{
		Task: dataset.Task{
			Name: dataset.Instruct, Metrics: []string{metric.Perplexity}, Select: metric.Perplexity,
		},
		Format: dataset.Instruct, MaxLength: cmp.Or(c.Data.MaxLength, instructLength),
	}, &rows{Session: s, files: map[string]*instruct.File{}}, nil
}

// openModel reads config.json and the tokenizer of the base model in s.Dir and checks whether they suit the data.
func (s *Session) openModel() (err error) {
	c := s.Config
	// The directory may be a model that a full fine-tuning run wrote.
	if checkpoint.Sealed(s.Dir) {
		if err := checkpoint.VerifyDir(s.Dir); err != nil {
			return err
		}
	}
	if s.Model, err = s.readModel(); err != nil {
		return place.Given(err)
	}
	if s.Tokenizer, err = tokenizer.LoadFor(s.Dir, s.Model.vocab); err != nil {
		return err
	}
	if err := s.source.check(); err != nil {
		return err
	}
	s.MaxLength = s.Set.MaxLength
	if room := s.Model.tokens; s.MaxLength > room {
		if c.Data.MaxLength > 0 {
			return place.Mistake(fmt.Errorf("train: open %s: data.max_length is %d, longer than the model's position "+
				"table; want at most %d", s.Dir, c.Data.MaxLength, room))
		}
		s.MaxLength = room
	}
	return nil
}

// step returns the indices of the training examples, of n, in an optimizer step,
// counted from 1. They depend only on seed and step.
func (s *Session) step(n, step int) []int32 {
	size := s.Config.Train.BatchSize
	perEpoch := stepsPerEpoch(n, size)
	epoch, at := (step-1)/perEpoch, (step-1)%perEpoch*size
	if s.order == nil || s.epoch != epoch {
		s.order, s.epoch = s.source.order(epoch, n), epoch
	}
	return s.order[at:min(at+size, n)]
}

// stepsPerEpoch returns the number of batches in an epoch; the last may be smaller.
func stepsPerEpoch(examples, batch int) int { return (examples + batch - 1) / batch }

// load reads and tokenises a split. If labelled is set, it returns an error if an example has no label.
func (s *Session) load(ctx context.Context, split string, labelled bool) (data, error) {
	return s.source.load(ctx, split, labelled)
}

// Examples returns the number of examples of a split.
func (s *Session) Examples(ctx context.Context, split string) (int, error) {
	sp, err := s.source.split(ctx, split)
	if err != nil {
		return 0, loading(err)
	}
	return len(sp.Examples), nil
}

// Show returns the first n examples of a split as the model sees them.
func (s *Session) Show(ctx context.Context, split string, n int) ([]Shown, error) {
	return s.source.show(ctx, split, n)
}

// loadBase reads the base model for a method, and quantises it if the run file says so.
func (s *Session) loadBase(dev compute.Device, method adapter.Config) (model.Network, error) {
	m, err := s.loadModel(dev, method)
	if err != nil {
		return nil, err
	}
	switch four := s.Config.Train.Quantize == config.QuantizeNF4; {
	case four && method.ChangesWeights():
		model.Pack(dev, m) // an export: the adapter was fitted to the weights in four bits
	case four:
		model.Quantize(dev, m)
	}
	return m, nil
}

// attach creates the base model and the method that settings describe on a device.
func (s *Session) attach(dev compute.Device, settings adapter.Settings) (model.Network, adapter.Method, error) {
	m, err := s.loadBase(dev, settings.Config)
	if err != nil {
		return nil, nil, err
	}
	a, err := adapter.Attach(dev, m, settings)
	if err != nil {
		return nil, nil, err
	}
	return m, a, dev.Err()
}

// restored returns a stepper with the base model and the adapter saved in dir, for
// evaluation. It returns an error if labels or base model are not those of the
// adapter.
func (s *Session) restored(dev compute.Device, dir string, saved *adapter.Saved) (*Stepper, error) {
	if labels := saved.Task.Labels; saved.Task.Name != "" && !slices.Equal(labels, s.Set.Task.Labels) {
		return nil, fmt.Errorf("train: evaluate %s: its head predicts the labels %q, and the data has %q; "+
			"use data with the adapter's labels in the same order: %w", dir, labels, s.Set.Task.Labels, adapter.ErrMismatch)
	}
	if saved.Task.Name != "" && saved.Task.Kind != s.Set.Task.Kind {
		return nil, fmt.Errorf("train: evaluate %s: its head predicts %s, and data.kind says %s; use the data.kind of the "+
			"adapter: %w", dir, howMany(saved.Task.Kind), howMany(s.Set.Task.Kind), adapter.ErrMismatch)
	}
	if err := s.sameBase(dir, saved); err != nil {
		return nil, err
	}
	m, err := s.loadBase(dev, saved.Method)
	if err != nil {
		return nil, err
	}
	return s.restoredOn(dev, m, saved)
}

// restoredOn returns a stepper with an adapter on a base model that is loaded.
func (s *Session) restoredOn(dev compute.Device, m model.Network, saved *adapter.Saved) (*Stepper, error) {
	method, err := saved.Attach(dev, m, s.Config.Seed)
	if err != nil {
		return nil, err
	}
	if err := saved.Restore(dev, method, m.Head()); err != nil {
		return nil, err
	}
	return &Stepper{Dev: dev, Model: m, Method: method, Objective: s.objective(dev, m, nil)}, nil
}

// howMany says how many labels a kind of task predicts for an example.
func howMany(kind string) string {
	switch kind {
	case dataset.MultiLabel:
		return "any number of labels for an example"
	case dataset.Tokens:
		return "a tag for each word"
	}
	return "one label for each example"
}
