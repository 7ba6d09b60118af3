package train

import (
	"context"
	"fmt"
	"math"

	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/dataset"
	"github.com/lor2c/lor2c/internal/instruct"
	"github.com/lor2c/lor2c/internal/model"
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

// data is a split as tokens, with the examples that they come from.
type data struct {
	*dataset.Encoded
	split *dataset.Split
	rows  *instruct.Rows  // of the task instruct, with the tokens to predict
	check *instruct.Check // of the task instruct, what is probably a mistake
	file  *instruct.File  // of the task instruct, which the rows are of
}

// batch returns the examples with the given indices as one packed batch.
func (d data) batch(indices []int32) model.Batch {
	if d.rows != nil {
		ids, read, next, cu := d.rows.Targets(indices)
		return model.Batch{IDs: ids, Cu: cu, Read: read, Next: next}
	}
	b := model.Batch{Cu: make([]int32, 1, len(indices)+1)}
	for _, i := range indices {
		ids, types := d.At(int(i))
		if d.WordCu != nil {
			_, starts := d.WordsAt(int(i))
			for _, start := range starts {
				b.Read = append(b.Read, int32(len(b.IDs))+start)
			}
		}
		b.IDs, b.Types = append(b.IDs, ids...), append(b.Types, types...)
		b.Cu = append(b.Cu, int32(len(b.IDs)))
		for _, label := range d.LabelsOf(int(i)) {
			if math.IsNaN(float64(label)) {
				label = 0 // the label is withheld, and the caller only uses the predictions
			}
			b.Labels = append(b.Labels, label)
		}
	}
	return b
}

// where returns file:line of each example with the given indices.
func (d data) where(indices []int32) []string {
	names := make([]string, len(indices))
	for i, x := range indices {
		names[i] = fmt.Sprintf("%s:%d", d.split.Path, d.split.Examples[x].Line)
	}
	return names
}

// micro packs the examples of one optimizer step as micro-batches.
func (d data) micro(indices []int32, t config.Train) (batches []model.Batch) {
	for _, part := range d.Parts(indices, t.MicroBatchSize, t.MicroBatchTokens) {
		batches = append(batches, d.batch(part))
	}
	return batches
}
