package train

import (
	"cmp"
	"context"
	"errors"

	"github.com/lor2c/lor2c/internal/dataset"
	"github.com/lor2c/lor2c/internal/instruct"
	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/place"
)

// source reads the data of a session and makes examples of them. Texts with labels are one source, and the rows of the
// task instruct the other.
type source interface {
	// check returns an error if the tokenizer of the session does not suit such data.
	check() error
	// predicts says what a model predicts for an example, for people.
	predicts() string
	// split returns the examples of a split, by which a run recognises its data.
	split(ctx context.Context, name string) (*dataset.Split, error)
	// load reads and tokenises a split. If labelled is set, it returns an error if an example has no label.
	load(ctx context.Context, split string, labelled bool) (data, error)
	// profile returns the lines that a run logs about a split.
	profile(split string, d data) []string
	// findings returns likely mistakes in a split.
	findings(d data) []dataset.Finding
	// show returns the first n examples of a split as the model sees them.
	show(ctx context.Context, split string, n int) ([]Shown, error)
	// shown returns example i of loaded data as the model sees it.
	shown(d data, i int) Shown
	// order returns the order in which an epoch visits n training examples.
	order(epoch, n int) []int32
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
