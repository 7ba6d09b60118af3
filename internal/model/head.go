package model

import (
	"regexp"
	"strconv"
)

// Head describes the initial values of a model's classification head.
type Head struct {
	// Outputs is the number of logits: classes, or 1 for regression.
	Outputs int
	// Tokens says that the head classifies tokens, see Config.
	Tokens bool
	// Rows has, for each output, the row of the base model's head that is used.
	// nil means a new head.
	Rows []int
}

// HeadOrigin is the origin of the values of a model's head.
type HeadOrigin int

// These are the origins of a head.
const (
	HeadMissing   HeadOrigin = iota // drawn at random, because the base has no head
	HeadUnrelated                   // drawn at random, because the base's head has other outputs or no names for them
	HeadTaken                       // taken from the base
)

// String describes the origin, for a line that starts with "classification head:".
func (o HeadOrigin) String() string {
	switch o {
	case HeadTaken:
		return "the base's, its outputs matched by label"
	case HeadUnrelated:
		return "new; the base's has outputs without these labels"
	}
	return "new; the base has none"
}

// unnamed matches the names that transformers gives to classes without a name.
var unnamed = regexp.MustCompile(`^LABEL_\d+$`)

// HeadFor returns the head for labels, which are in the order of the outputs; nil means
// regression. The base model's head is used only if id2label of c has the same labels,
// in any order. A head whose outputs have no names, or whose output is a number, may
// have another meaning.
func HeadFor(c Config, labels []string) Head {
	if labels == nil {
		return Head{Outputs: 1}
	}
	h := Head{Outputs: len(labels), Tokens: c.Tokens}
	if len(c.Labels) != len(labels) {
		return h
	}
	rows := map[string]int{}
	for id := range labels {
		name, ok := c.Labels[strconv.Itoa(id)].(string)
		if !ok || unnamed.MatchString(name) {
			return h
		}
		rows[name] = id
	}
	order := make([]int, len(labels))
	for i, label := range labels {
		row, ok := rows[label]
		if !ok {
			return h
		}
		order[i] = row
	}
	if len(rows) == len(labels) {
		h.Rows = order
	}
	return h
}

// permuted returns the rows of a row-major array in the order that rows names.
func permuted(values []float32, rows []int) []float32 {
	width := len(values) / len(rows)
	out := make([]float32, 0, len(values))
	for _, r := range rows {
		out = append(out, values[r*width:(r+1)*width]...)
	}
	return out
}
