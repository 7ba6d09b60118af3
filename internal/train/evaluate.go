package train

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/dataset"
	"github.com/lor2c/lor2c/internal/identity"
	"github.com/lor2c/lor2c/internal/place"
)

// SplitEvaluation is the evaluation of a saved adapter on one split.
type SplitEvaluation struct {
	Evaluation        // Scores is nil if the split has examples without a label
	View       string // the form of the method that was evaluated; empty for the method as it is
	Split      string
	Examples   int
	Labels     []string          // names of the classes; nil in regression
	Separator  string            // between the labels of an example, in multi-label classification
	Labelled   int               // number of examples that have a label
	IDs        []int             // of the examples in the file, in token classification, which leaves some out
	Content    identity.Split    // of the split, to recognise it
	Before     identity.Split    // of the split that the adapter was trained with; zero if that is not known
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
	list, err := EvaluateViews(ctx, c, dev, dir, split, "", watch)
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// EvaluateViews is Evaluate for several forms of one method, such as its ranks. choice is "all", or the numbers of
// some, counted from 1 and separated by commas; the empty choice is the method as it is. The base model is loaded once.
func EvaluateViews(ctx context.Context, c *config.Config, dev compute.Device, dir, split, choice string,
	watch func(done, batches int)) ([]*SplitEvaluation, error) {
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
	views, err := chooseViews(st.Method, saved.Method.Name(), choice)
	if err != nil {
		return nil, err
	}
	var list []*SplitEvaluation
	for _, v := range views {
		st.View = v.number
		e := &SplitEvaluation{View: v.name, Split: split, Labels: s.Set.Task.Labels, Separator: s.Set.Task.Separator,
			Examples: d.Len(),
			Content:  identity.Split{Examples: d.Len(), SHA256: s.Set.Task.Digest(d.split)},
			Findings: s.source.findings(d), Notes: unchecked(dir, saved)}
		if saved.Identity != nil {
			e.Before = saved.Identity.Data[split]
		}
		if err := e.run(ctx, st, d, s.Set.Task.Metrics, c.Train); err != nil {
			return nil, blame(dev, "evaluate "+dir, err)
		}
		list = append(list, e)
	}
	return list, nil
}

// Changed returns a line for people if the split has other examples than when the adapter was trained, and otherwise
// nothing.
func (e *SplitEvaluation) Changed() string {
	if e.Before.SHA256 == "" || e.Before == e.Content {
		return ""
	}
	return fmt.Sprintf("note: %s has changed since the run, so scores of the run are of other examples: %v in the run, "+
		"%v now", e.Split, e.Before, e.Content)
}

// run evaluates all examples of d.
func (e *SplitEvaluation) run(ctx context.Context, st *Stepper, d data, metrics []string, t config.Train) (err error) {
	if e.Evaluation, err = st.evaluate(ctx, d, sequence(d.Len()), metrics, t); err != nil {
		return err
	}
	for _, x := range d.split.Examples {
		if x.HasLabel || d.rows != nil {
			e.Labelled++
		}
	}
	if e.Labelled < d.Len() {
		e.Evaluation = Evaluation{Predictions: e.Predictions, Sets: e.Sets, Tags: e.Tags}
	}
	for i, tags := range e.Tags {
		e.Tags[i] = d.everyWord(i, tags)
		e.IDs = append(e.IDs, d.split.Examples[i].ID)
	}
	return nil
}

// view is a form of a method: see adapter.Viewer.
type view struct {
	number int
	name   string
}

// chooseViews returns the forms of a method that choice names; see EvaluateViews.
func chooseViews(m adapter.Method, method, choice string) (views []view, err error) {
	if choice == "" {
		return []view{{}}, nil
	}
	var names []string
	if v, ok := m.(adapter.Viewer); ok {
		names = v.Views()
	}
	if names == nil {
		return nil, place.Mistake(fmt.Errorf("train: evaluate views %s: this adapter of method %s has one form only; leave "+
			"--views out", place.Quote(choice), method))
	}
	if choice == "all" {
		for i, name := range names {
			views = append(views, view{i + 1, name})
		}
		return views, nil
	}
	for part := range strings.SplitSeq(choice, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || n < 1 || n > len(names) {
			return nil, place.Mistake(fmt.Errorf("train: evaluate views %s: %s is not a form of the adapter; want all, or "+
				"numbers from 1 (%s) to %d (%s) with commas between them", place.Quote(choice), place.Quote(part), names[0],
				len(names), names[len(names)-1]))
		}
		views = append(views, view{n, names[n-1]})
	}
	return views, nil
}

// WritePredictions writes predictions in the format of the GLUE server: a header,
// then one line per example with its index and its predicted label, labels, tags or number.
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
	for i, set := range e.Sets {
		names := make([]string, len(set))
		for j, label := range set {
			names[j] = e.Labels[label]
		}
		fmt.Fprintf(w, "%d\t%s\n", i, strings.Join(names, e.Separator))
	}
	for i, tags := range e.Tags {
		names := make([]string, len(tags))
		for j, tag := range tags {
			names[j] = TagName(e.Labels, tag)
		}
		fmt.Fprintf(w, "%d\t%s\n", e.IDs[i], strings.Join(names, " "))
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
