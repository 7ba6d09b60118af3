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
// Event or Gradient. Nothing in it depends on the clock, so that a resumed run
// writes the same bytes as an uninterrupted one.
type Record interface {
	// At returns the optimizer step after which the record was made.
	At() int
}

// row is a record that has columns in metrics.csv: a Train or an Eval.
type row interface {
	Record
	// fields returns the fields in the order of the file. names is the order of
	// the scores.
	fields(names []string) []field
}

// Train is the record that the training loop logs every few optimizer steps.
// Its values must depend only on data, seed and step. A checkpoint must
// therefore store the running sum of a mean over the steps since the last
// record.
type Train struct {
	Step         int     // optimizer steps so far, from 1
	Epoch        float64 // passes over the training data, with a fraction
	Loss         float64 // mean cross-entropy (or squared error) per example
	LearningRate float64 // of this step
	GradNorm     float64 // L2 norm of all gradients before clipping
}

// Eval is the outcome of evaluating a split.
type Eval struct {
	Step   int     // optimizer steps so far; 0 is the untrained model
	Epoch  float64 // passes over the training data, with a fraction
	Split  string  // "dev", "dev_mismatched", "test" ...
	Loss   float64
	Scores map[string]float64 // by the names in Options.Scores
	// Intervals are 95 % bootstrap intervals of Scores over the examples, where
	// they were computed. metrics.csv has no columns for them.
	Intervals map[string]*metric.Interval
	Best      bool // whether no earlier evaluation was better or equal
}

// intervalField is the name of Intervals in metrics.jsonl.
const intervalField = "interval_95"

// columns is the header of metrics.csv without the scores. No score may have
// one of these names.
var columns = []string{"kind", "step", "epoch", "split", "loss", "learning_rate", "grad_norm", "best", intervalField}

// header returns the columns of metrics.csv. The last one is always best.
func header(scores []string) []string {
	return slices.Concat(columns[:7], scores, columns[7:8])
}

// field is a named string, int, float64, bool or map of intervals.
type field struct {
	name  string
	value any
}

// At returns the step of the record.
func (t Train) At() int { return t.Step }

// At returns the step of the evaluation.
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
		panic(err) // values of these types can always be marshalled
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

// csvRow returns the row of a record in metrics.csv. It ignores fields without
// a column. The cell of a null, or of a column without a field, is empty.
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
	w.Write(row) // writing to a bytes.Buffer never fails
	w.Flush()
	return b.Bytes()
}
