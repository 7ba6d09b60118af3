package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/dataset"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/tokenizer"
)

// Session is what training, evaluation and showing examples have in common:
// the data, the tokenizer and the base model of one configuration.
type Session struct {
	Config    *config.Config
	Dir       string // of the base model, where the configuration may name one of the Hugging Face cache
	Set       *dataset.Set
	Tokenizer *tokenizer.Tokenizer
	Model     model.Config
	MaxLength int // tokens of an example, special ones included
	cacheDir  string
	order     []int32 // of the training examples in epoch
	epoch     int
}

// OpenSession opens what c names, as far as it can be checked without a device.
// splits are those that will be loaded, none standing for a training run.
func OpenSession(ctx context.Context, c *config.Config, splits ...string) (*Session, error) {
	return openSession(ctx, c, splits, nil)
}

// openSession is OpenSession with the class names of a trained adapter.
func openSession(ctx context.Context, c *config.Config, splits, labels []string) (*Session, error) {
	s := &Session{Config: c}
	var err error
	if s.Set, err = dataset.Open(ctx, c.Data, dataset.Request{Splits: splits, Labels: labels, Seed: c.Seed}); err != nil {
		return nil, loading(err)
	}
	if s.Dir, err = model.Find(c.Model); err != nil {
		return nil, err
	}
	if s.Model, err = model.ReadConfig(s.Dir); err != nil {
		return nil, err
	}
	if s.Tokenizer, err = tokenizer.Load(s.Dir); err != nil {
		return nil, err
	}
	if n := s.Tokenizer.VocabSize(); n > s.Model.Vocab {
		return nil, fmt.Errorf("train: open %s: the tokenizer has %d tokens, the embedding %d rows; want files of one model", s.Dir, n, s.Model.Vocab)
	}
	s.MaxLength = s.Set.MaxLength
	if room := s.Model.MaxTokens(); s.MaxLength > room {
		if c.Data.MaxLength > 0 {
			return nil, place.Mistake(fmt.Errorf("train: open %s: data.max_length is %d, longer than the model's position table; want at most %d",
				s.Dir, c.Data.MaxLength, room))
		}
		s.MaxLength = room
	}
	if dir, err := os.UserCacheDir(); err == nil {
		s.cacheDir = filepath.Join(dir, "lor2c", "tokens")
	}
	return s, nil
}

// data is a split as tokens, with where each example came from.
type data struct {
	*dataset.Encoded
	split *dataset.Split
}

// load reads and tokenises a split; every example must have a label where
// labelled is set.
func (s *Session) load(ctx context.Context, split string, labelled bool) (data, error) {
	sp, err := s.Set.Load(ctx, split)
	if err != nil {
		return data{}, loading(err)
	}
	if labelled {
		for _, e := range sp.Examples {
			if !e.HasLabel {
				return data{}, fmt.Errorf("train: load %s:%d: the example has no label; want one of every example of the %s split", sp.Path, e.Line, split)
			}
		}
	}
	if err := s.checkSpecials(sp); err != nil {
		return data{}, err
	}
	e, err := dataset.Encode(ctx, s.Tokenizer, sp, s.MaxLength, s.cacheDir)
	if err != nil && s.cacheDir != "" {
		// A cache that cannot be written costs a second, not the run.
		s.cacheDir = ""
		e, err = dataset.Encode(ctx, s.Tokenizer, sp, s.MaxLength, "")
	}
	if err != nil {
		return data{}, loading(err)
	}
	d := data{e, sp}
	return d, s.checkTypes(d)
}

// checkSpecials refuses special tokens that leave no room for text: they are never
// truncated, so that every example would be longer than max_length.
func (s *Session) checkSpecials(sp *dataset.Split) error {
	for _, e := range sp.Examples {
		if n := s.Tokenizer.Specials(e.TextB != nil); n >= s.MaxLength {
			return place.Mistake(fmt.Errorf("train: load %s:%d: the tokenizer in %s puts %d special tokens around a text, and data.max_length is %d; want room for text",
				sp.Path, e.Line, s.Dir, n, s.MaxLength))
		}
	}
	return nil
}

// checkTypes holds the token types that the tokenizer gives against the model.
func (s *Session) checkTypes(d data) error {
	for i := range d.Len() {
		_, types := d.At(i)
		for _, t := range types {
			if t < 0 || int(t) >= s.Model.Types {
				return fmt.Errorf("train: load %s:%d: the tokenizer in %s gives tokens the type %d, and type_vocab_size is %d; want files of one model",
					d.split.Path, d.split.Examples[i].Line, s.Dir, t, s.Model.Types)
			}
		}
	}
	return nil
}

// loading makes an interruption of err, where that is what kept data from being
// loaded.
func loading(err error) error {
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("train: load the data: %w; nothing had begun", ErrInterrupted)
	}
	return err
}

// batch packs the examples of the given indices.
func (d data) batch(indices []int32) model.Batch {
	b := model.Batch{Cu: make([]int32, 1, len(indices)+1)}
	for _, i := range indices {
		ids, types := d.At(int(i))
		b.IDs, b.Types = append(b.IDs, ids...), append(b.Types, types...)
		b.Cu = append(b.Cu, int32(len(b.IDs)))
		label := d.Labels[i]
		if math.IsNaN(float64(label)) {
			label = 0 // withheld: predictions are asked for, the loss is not read
		}
		b.Labels = append(b.Labels, label)
	}
	return b
}

// where names the examples of the given indices by file and line.
func (d data) where(indices []int32) []string {
	names := make([]string, len(indices))
	for i, x := range indices {
		names[i] = fmt.Sprintf("%s:%d", d.split.Path, d.split.Examples[x].Line)
	}
	return names
}

// micro packs the examples of one optimizer step as micro-batches of at most
// size examples.
func (d data) micro(indices []int32, size int) (batches []model.Batch) {
	for part := range slices.Chunk(indices, size) {
		batches = append(batches, d.batch(part))
	}
	return batches
}

// step returns the indices of the examples of an optimizer step, from 1: a
// function of seed and step alone.
func (s *Session) step(n, step int) []int32 {
	size := s.Config.Train.BatchSize
	perEpoch := stepsPerEpoch(n, size)
	epoch, at := (step-1)/perEpoch, (step-1)%perEpoch*size
	if s.order == nil || s.epoch != epoch {
		s.order, s.epoch = dataset.Order(s.Config.Seed, epoch, n), epoch
	}
	return s.order[at:min(at+size, n)]
}

func stepsPerEpoch(examples, batch int) int { return (examples + batch - 1) / batch }

// attach puts the base model and the method that settings describe on a device.
func (s *Session) attach(dev compute.Device, settings adapter.Settings) (*model.Encoder, adapter.Method, error) {
	m, err := model.Load(dev, s.Dir, model.HeadFor(s.Model, s.Set.Task.Labels), s.Config.Seed, settings.Trains())
	if err != nil {
		return nil, nil, err
	}
	a, err := adapter.Attach(dev, m, settings)
	if err != nil {
		return nil, nil, err
	}
	return m, a, dev.Err()
}

// restored builds a model with the adapter saved in dir, for evaluation.
func (s *Session) restored(dev compute.Device, dir string, saved *adapter.Saved) (*Stepper, error) {
	if labels := saved.Task.Labels; saved.Task.Name != "" && !slices.Equal(labels, s.Set.Task.Labels) {
		return nil, fmt.Errorf("train: evaluate %s: its head predicts %q, the data has %q; want data with the adapter's labels in its order: %w",
			dir, labels, s.Set.Task.Labels, adapter.ErrMismatch)
	}
	if err := s.sameBase(dir, saved); err != nil {
		return nil, err
	}
	m, method, err := s.attach(dev, adapter.Settings{Config: saved.Method, Seed: s.Config.Seed, Structure: saved.Structure})
	if err != nil {
		return nil, err
	}
	if err := saved.Restore(dev, method, m.Head()); err != nil {
		return nil, err
	}
	return &Stepper{Dev: dev, Model: m, Method: method, Regression: s.Set.Task.Labels == nil}, nil
}
