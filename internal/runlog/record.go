package runlog

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/metric"
)

// Record is one line of metrics.jsonl: a Train, Eval, Baseline, Plan, Spectrum,
// Event or Gradient. It carries nothing that depends on the clock, so that a resumed run
// writes the bytes of an unbroken one.
type Record interface {
	// At returns the optimizer step after which the record was made.
	At() int
}

// row is a record that has columns in metrics.csv: a Train or an Eval.
type row interface {
	Record
	// fields returns the record in file order, scores in the order of names.
	fields(names []string) []field
}

// Train is the record that the loop logs every few optimizer steps. Its values must
// depend only on data, seed and step. For a mean over the steps since the last record
// this requires that checkpoints store the running sum.
type Train struct {
	Step         int     // optimizer steps done, from 1
	Epoch        float64 // passes over the training data, with fraction
	Loss         float64 // mean cross-entropy (or squared error) per example
	LearningRate float64 // used for this step
	GradNorm     float64 // L2 norm of all gradients before clipping
}

// Eval is the outcome of evaluating a split.
type Eval struct {
	Step   int     // optimizer steps done; 0 is the untrained model
	Epoch  float64 // passes over the training data, with fraction
	Split  string  // "dev", "dev_mismatched", "test" ...
	Loss   float64
	Scores map[string]float64 // by names that Options.Scores holds
	// Intervals are 95 % bootstrap intervals of Scores over the examples, as far
	// as there are any. metrics.csv has no columns for them.
	Intervals map[string]*metric.Interval
	Best      bool // whether no earlier evaluation was as good
}

// intervalField is the name of the field of Intervals in metrics.jsonl.
const intervalField = "interval_95"

// columns is the header of metrics.csv around the scores, and therefore also
// the list of names that no score may have.
var columns = []string{"kind", "step", "epoch", "split", "loss", "learning_rate", "grad_norm", "best", intervalField}

// header returns the columns of metrics.csv; best stays last.
func header(scores []string) []string {
	return slices.Concat(columns[:7], scores, columns[7:8])
}

// field is a named string, int, float64, bool or map of intervals.
type field struct {
	name  string
	value any
}

// At returns the last step of the window.
func (t Train) At() int { return t.Step }

// At returns the step after which was evaluated.
func (e Eval) At() int { return e.Step }

func (t Train) fields([]string) []field {
	return []field{{"kind", "train"}, {"step", t.Step}, {"epoch", t.Epoch},
		{"loss", t.Loss}, {"learning_rate", t.LearningRate}, {"grad_norm", t.GradNorm}}
}

func (e Eval) fields(names []string) []field {
	f := []field{{"kind", "eval"}, {"step", e.Step}, {"epoch", e.Epoch}, {"split", e.Split}, {"loss", e.Loss}}
	for _, name := range names {
		if v, ok := e.Scores[name]; ok {
			f = append(f, field{name, v})
		}
	}
	if e.Intervals != nil {
		f = append(f, field{intervalField, e.Intervals})
	}
	return append(f, field{"best", e.Best})
}

// known returns an error for a score that has no column.
func (e Eval) known(names []string) error {
	for name := range e.Scores {
		if !slices.Contains(names, name) {
			return fmt.Errorf("score %q has no column; the run was opened with %q", name, names)
		}
	}
	return nil
}

// prefix returns the prefix that Hugging Face tools expect before a score's name. For
// splits other than dev it includes the name of the split.
func (e Eval) prefix() string {
	if e.Split == "dev" || e.Split == "" {
		return "eval"
	}
	return "eval_" + e.Split
}

// literal returns the JSON of a field's value.
func (f field) literal() []byte {
	if v, ok := f.value.(float64); ok {
		f.value = metric.Number(v)
	}
	b, err := json.Marshal(f.value)
	if err != nil {
		panic(err) // strings, ints, bools, numbers and intervals always marshal
	}
	return b
}

// jsonLine returns one line of JSON Lines, newline included.
func jsonLine(fields []field) []byte {
	line := []byte{'{'}
	for i, f := range fields {
		if i > 0 {
			line = append(line, ',')
		}
		line = append(line, field{value: f.name}.literal()...)
		line = append(line, ':')
		line = append(line, f.literal()...)
	}
	return append(line, '}', '\n')
}

// csvRow returns the row of a record in metrics.csv. Fields without a column are left
// out; a null and a column without a field are empty cells.
func csvRow(fields []field, columns []string) []string {
	row := make([]string, len(columns))
	for _, f := range fields {
		text, isText := f.value.(string)
		if !isText {
			text = strings.TrimPrefix(string(f.literal()), "null")
		}
		if i := slices.Index(columns, f.name); i >= 0 {
			row[i] = text
		}
	}
	return row
}

func csvLine(row []string) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.Write(row) // a bytes.Buffer takes every write
	w.Flush()
	return b.Bytes()
}
