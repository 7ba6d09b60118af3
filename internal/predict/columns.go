package predict

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/train"
)

// kind is the type of a column.
type kind int

const (
	number kind = iota // a whole number
	text               // a text, or a value of a JSONL input
	real               // a probability or a predicted number
	list               // the predicted labels of a text, its words, or their tags
)

// column is a column of the output.
type column struct {
	name      string
	kind      kind
	separator string // between the labels of a list
	words     bool   // the list has the words of a sentence
}

// cell is the value of a column in one row.
type cell struct {
	number int64
	text   string
	json   bool // text is a JSON value that is no string
	real   float32
	list   []string
}

// instead says what to change if the output would have two columns of a name.
func (j *Job) instead(name string) string {
	kept := 0
	for _, k := range j.Keep {
		if k == name {
			kept++
		}
	}
	switch {
	case kept > 1:
		return "name it once in --keep"
	case kept == 1 && name == "id" && j.ID == "":
		return "use --id id in place of --keep id, so that this column and not the number of the row identifies each row"
	case kept == 1 && name == j.ID:
		return "leave it out of --keep, because --id puts it into the output"
	}
	return "leave it out of --keep, or give the column or the adapter another name"
}

// columns returns the columns of the output: id, what is kept, and for each adapter the prediction and, if it predicts
// classes, the probability of each; of an adapter that tags words, these, their tags and the entities as JSON. It
// returns an error if two have the same name.
func (j *Job) columns() (all []column, err error) {
	addColumn := func(added column) {
		for _, c := range all {
			if c.name == added.name && err == nil {
				err = place.Mistake(fmt.Errorf("predict: the output would have two columns %s; %s", place.Quote(c.name),
					j.instead(c.name)))
			}
		}
		all = append(all, added)
	}
	add := func(name string, k kind) { addColumn(column{name: name, kind: k}) }
	if j.ID == "" {
		add("id", number)
	} else {
		add(j.ID, text)
	}
	for _, name := range j.Keep {
		add(name, text)
	}
	for i, name := range j.Names {
		if name != "" {
			name += "."
		}
		task := j.Model.Task(i)
		switch {
		case task.Labels == nil:
			add(name+"prediction", real)
		case task.Kind == adapter.Tokens:
			if !slices.ContainsFunc(all, func(c column) bool { return c.words }) {
				addColumn(column{name: "tokens", kind: list, separator: " ", words: true})
			}
			addColumn(column{name: name + "tags", kind: list, separator: " "})
			if _, marks := metric.NewTagScheme(task.Labels); marks {
				add(name+"entities", text)
			}
			continue
		case task.Kind == adapter.MultiLabel:
			addColumn(column{name: name + "prediction", kind: list, separator: task.Separator})
		default:
			add(name+"prediction", text)
		}
		for _, label := range task.Labels {
			add(name+"p_"+label, real)
		}
	}
	return all, err
}

// Check returns the error about the columns that Write and WriteFile would return, before any work.
func (j *Job) Check(format string) error {
	for i := range j.Names {
		if format == CoNLL && j.Model.Task(i).Kind != adapter.Tokens {
			return place.Mistake(fmt.Errorf("predict: the output format is conll, which has words and their tags, and an "+
				"adapter does not tag words; want one of %s", strings.Join(Formats[:len(Formats)-1], ", ")))
		}
	}
	_, err := j.columns()
	return err
}

// Probabilities sets p to the softmax of logits, computed in float64, and returns the index of the largest logit, the
// first if there are several.
func Probabilities(p, logits []float32) (best int) {
	for i, x := range logits {
		if x > logits[best] {
			best = i
		}
	}
	sum := 0.0
	for _, x := range logits {
		sum += math.Exp(float64(x) - float64(logits[best]))
	}
	for i, x := range logits {
		p[i] = float32(math.Exp(float64(x)-float64(logits[best])) / sum)
	}
	return best
}

// Independent sets p to the logistic function of logits, computed in float64, and returns the labels whose probability
// is at least the threshold of the task.
func Independent(p, logits []float32, t adapter.Task) []string {
	predicted := []string{}
	for i, x := range logits {
		probability := train.Logistic(float64(x))
		if p[i] = float32(probability); probability >= t.Threshold {
			predicted = append(predicted, t.Labels[i])
		}
	}
	return predicted
}
