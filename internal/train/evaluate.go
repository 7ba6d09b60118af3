package train

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/dataset"
)

// SplitEvaluation is the evaluation of a saved adapter on one split.
type SplitEvaluation struct {
	Evaluation // Scores is nil if the split has examples without a label
	Split      string
	Examples   int
	Labels     []string          // names of the classes; nil in regression
	Labelled   int               // number of examples that have a label
	Findings   []dataset.Finding // likely mistakes in the data of the split
	Notes      []string          // lines about what could not be checked
}

// Evaluate scores the adapter in dir on a split of c's data. It opens only the
// files of that split. If c does not set the labels or the maximum length,
// those of the adapter are used. watch, if not nil, is called with the number
// of finished batches and the total. The error wraps ErrInterrupted when ctx
// ends.
func Evaluate(ctx context.Context, c *config.Config, dev compute.Device, dir, split string,
	watch func(done, batches int)) (*SplitEvaluation, error) {
	saved, err := adapter.Open(dir)
	if err != nil {
		return nil, err
	}
	defer saved.Close()
	own := *c
	if c = &own; c.Data.MaxLength == 0 {
		c.Data.MaxLength = saved.MaxLength
	}
	s, err := openSession(ctx, c, []string{split}, saved.Task.Labels)
	if err != nil {
		return nil, err
	}
	d, err := s.load(ctx, split, false)
	if err != nil {
		return nil, err
	}
	st, err := s.restored(dev, dir, saved)
	if err != nil {
		return nil, blame(dev, "evaluate "+dir, err)
	}
	st.Evaluating = watch
	task := s.Set.Task
	e := &SplitEvaluation{Split: split, Labels: task.Labels, Examples: d.Len(), Findings: s.findings(d),
		Notes: unchecked(dir, saved)}
	e.Evaluation, err = st.evaluate(ctx, d, sequence(d.Len()), task.Metrics, c.Train)
	if err != nil {
		return nil, blame(dev, "evaluate "+dir, err)
	}
	for _, x := range d.split.Examples {
		if x.HasLabel || d.rows != nil {
			e.Labelled++
		}
	}
	if e.Labelled < d.Len() {
		e.Evaluation = Evaluation{Predictions: e.Predictions}
	}
	return e, nil
}

// WritePredictions writes predictions in the format of the GLUE server: a header,
// then one line per example with its index and its predicted label or number.
func (e *SplitEvaluation) WritePredictions(f io.Writer) error {
	w := bufio.NewWriter(f)
	fmt.Fprintln(w, "index\tprediction")
	for i, p := range e.Predictions {
		text := strconv.FormatFloat(float64(p), 'g', -1, 32)
		if e.Labels != nil {
			text = e.Labels[int(p)]
		}
		fmt.Fprintf(w, "%d\t%s\n", i, text)
	}
	return w.Flush()
}

// Shown is an example as the model sees it.
type Shown struct {
	Where string // file:line
	Label string
	IDs   []int32
	Text  string // decoded, special tokens included
	// Runs are the parts of Text that a decoder learns to predict, and those between them; nil for other tasks.
	Runs []TextRun
}

// TextRun is a part of a text whose tokens a decoder learns to predict, or does not.
type TextRun struct {
	Text      string
	Predicted bool
	Tokens    int
}
