// Package predict writes the predictions of adapters for a file of texts, row by row, in constant memory.
package predict

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/dataset"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/train"
)

// Model computes the outputs of one or several adapters; [train.Predictor] is one.
type Model interface {
	// Task returns what the adapter with index i predicts.
	Task(i int) adapter.Task
	// Outputs returns the outputs of every adapter for texts, which path names in errors.
	Outputs(ctx context.Context, path string, texts []dataset.Example) ([]train.Outputs, error)
}

// Job is a file of texts and what is done with it.
type Job struct {
	Rows  *dataset.Rows
	Model Model
	// Names has a prefix of the columns of each adapter; a single adapter has the empty one.
	Names []string
	// ID is the name of the column that identifies a row, the first of those that Rows keeps. If it is empty, rows are
	// numbered from 0, as they stand in the input.
	ID string
	// Keep has the names of the other columns that Rows keeps and the output repeats.
	Keep []string
	// SkipBad makes Run leave out rows that cannot be read, instead of stopping at the first.
	SkipBad bool
	// Chunk is the largest number of rows that are computed at a time; 0 means the default.
	Chunk int
	// Progress, if it is set, is called with the number of rows that were predicted.
	Progress func(rows int)
}

// Summary is what Run did.
type Summary struct {
	Rows, Skipped, Truncated, Empty int
	FirstBad                        error // of the rows that were skipped
	FirstEmpty                      int   // line of the first empty text
	Before                          int   // rows that an earlier run wrote; Truncated and Empty do not count these
}

// sink takes the rows of the output.
type sink interface {
	// done returns the number of rows of the input that an earlier run wrote, with the hash of their content, which
	// check compares when they were read again.
	done() int
	check(sum string) error
	// rows writes rows of cells. read is the number of rows of the input so far, those that were skipped included, and
	// sum the hash of their content.
	rows(cells [][]cell, read int, sum string) error
}

// run predicts all rows and gives them to s in the order of the input. After an error, s has the rows before it.
func (j *Job) run(ctx context.Context, s sink) (sum Summary, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	chunks := j.read(ctx)
	content, skip, read := newContent(), s.done(), 0
	for {
		var c chunk
		select {
		case c = <-chunks:
		case <-ctx.Done():
			return sum, interrupted(sum)
		}
		rows := make([]dataset.Row, 0, len(c.rows))
		for _, r := range c.rows {
			if read == skip && skip > 0 {
				if err := s.check(content.sum()); err != nil {
					return sum, err
				}
			}
			read++
			content.add(r)
			if r.bad != nil {
				if sum.Skipped++; sum.FirstBad == nil {
					sum.FirstBad = r.bad
				}
				continue
			}
			if sum.Rows++; read > skip {
				rows = append(rows, r.Row)
			} else {
				sum.Before++
			}
		}
		if len(rows) > 0 {
			cells, err := j.predict(ctx, rows, &sum)
			if err != nil {
				return sum, err
			}
			if err := s.rows(cells, read, content.sum()); err != nil {
				return sum, err
			}
		}
		if j.Progress != nil {
			j.Progress(sum.Rows)
		}
		switch {
		case c.err == io.EOF && read < skip:
			return sum, place.Mistake(fmt.Errorf("predict: read %s: it has %s, and the interrupted run had read %d; "+
				"give the same input, or begin again with --restart", j.Rows.Path, place.Count(read, "row", "rows"), skip))
		case c.err == io.EOF && read == skip && skip > 0:
			return sum, s.check(content.sum())
		case c.err == io.EOF:
			return sum, nil
		case errors.Is(c.err, context.Canceled):
			return sum, interrupted(sum)
		case c.err != nil:
			return sum, c.err
		}
	}
}

// interrupted returns the error of a run that was stopped.
func interrupted(sum Summary) error {
	return fmt.Errorf("predict: %w after %s", train.ErrInterrupted, place.Count(sum.Rows, "row", "rows"))
}

// predict returns the cells of rows.
func (j *Job) predict(ctx context.Context, rows []dataset.Row, sum *Summary) ([][]cell, error) {
	texts := make([]dataset.Example, len(rows))
	for i, r := range rows {
		texts[i] = r.Example
		if r.TextA == "" && r.Words == nil && (r.TextB == nil || *r.TextB == "") {
			if sum.Empty++; sum.FirstEmpty == 0 {
				sum.FirstEmpty = r.Line
			}
		}
	}
	outputs, err := j.Model.Outputs(ctx, j.Rows.Path, texts)
	if err != nil {
		return nil, err
	}
	all := make([][]cell, len(rows))
	for i, r := range rows {
		if j.ID == "" {
			all[i] = append(all[i], cell{number: int64(r.ID)})
		}
		for _, v := range r.Kept {
			all[i] = append(all[i], cell{text: v.Text, json: v.JSON})
		}
	}
	truncated, told := 0, false // told: the words are there
	for a, out := range outputs {
		truncated = max(truncated, out.Truncated)
		task := j.Model.Task(a)
		labels := task.Labels
		if task.Kind == adapter.Tokens {
			for i, r := range rows {
				words, tags, found := Tagged(task, r.Example, out.Values, out.Words[i])
				if !told {
					all[i] = append(all[i], cell{list: words})
				}
				if all[i] = append(all[i], cell{list: tags}); found != nil {
					all[i] = append(all[i], cell{text: string(jsonValue(nil, found)), json: true})
				}
			}
			told = true
			continue
		}
		if labels == nil {
			for i, v := range out.Values {
				all[i] = append(all[i], cell{real: v})
			}
			continue
		}
		p := make([]float32, len(labels))
		for i := range rows {
			logits := out.Values[i*len(labels) : (i+1)*len(labels)]
			if task.Kind == adapter.MultiLabel {
				all[i] = append(all[i], cell{list: Independent(p, logits, task)})
			} else {
				all[i] = append(all[i], cell{text: labels[Probabilities(p, logits)]})
			}
			for _, v := range p {
				all[i] = append(all[i], cell{real: v})
			}
		}
	}
	sum.Truncated += truncated
	return all, nil
}
