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
	Evaluation // Scores is nil where labels are withheld
	Split      string
	Labels     []string          // names of the classes; nil in regression
	Labelled   int               // examples that have a label
	Findings   []dataset.Finding // what is seldom meant in the split
	Notes      []string          // lines on what could not be checked
}

// Evaluate scores the adapter in dir on a split of c's data. Only that split's
// files are opened. Where the configuration says nothing of them, classes and
// maximum length are the adapter's. watch, if not nil, is told how many batches
// are done; when ctx ends, the error wraps ErrInterrupted.
func Evaluate(ctx context.Context, c *config.Config, dev compute.Device, dir, split string, watch func(done, batches int)) (*SplitEvaluation, error) {
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
	e := &SplitEvaluation{Split: split, Labels: s.Set.Task.Labels, Findings: s.Set.Task.Lint(d.split), Notes: unchecked(dir, saved)}
	if e.Evaluation, err = st.evaluate(ctx, d, sequence(d.Len()), s.Set.Task.Metrics, c.Train.EvalBatchSize); err != nil {
		return nil, blame(dev, "evaluate "+dir, err)
	}
	for _, x := range d.split.Examples {
		if x.HasLabel {
			e.Labelled++
		}
	}
	if e.Labelled < d.Len() {
		e.Evaluation = Evaluation{Predictions: e.Predictions}
	}
	return e, nil
}

// WritePredictions writes the file that the GLUE server takes: a header, then
// index and prediction, by label name or as a number.
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
}

// Show returns the first n examples of a split.
func (s *Session) Show(ctx context.Context, split string, n int) ([]Shown, error) {
	sp, err := s.Set.Load(ctx, split)
	if err != nil {
		return nil, loading(err)
	}
	var out []Shown
	for _, x := range sp.Examples[:min(max(n, 0), len(sp.Examples))] {
		ids := s.Tokenizer.Encode(x.TextA, x.TextB, s.MaxLength).IDs
		label := "none"
		if labels := s.Set.Task.Labels; x.HasLabel && labels != nil {
			label = labels[int(x.Label)]
		} else if x.HasLabel {
			label = strconv.FormatFloat(float64(x.Label), 'g', -1, 32)
		}
		out = append(out, Shown{fmt.Sprintf("%s:%d", sp.Path, x.Line), label, ids, s.Tokenizer.Decode(ids)})
	}
	return out, nil
}
