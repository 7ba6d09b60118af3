package serve

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/dataset"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/predict"
	"github.com/lor2c/lor2c/internal/strictjson"
)

// predictRequest is the body of POST /predict.
type predictRequest struct {
	Adapter string            `json:"adapter"`
	Texts   []json.RawMessage `json:"texts"`
}

// predictAnswer is the answer to POST /predict.
type predictAnswer struct {
	Adapter     string       `json:"adapter"`
	Predictions []prediction `json:"predictions"`
}

// prediction is what an adapter predicts for a text: a label, or any number of labels, with the probability of each, a
// number, or the tags of its words with the entities that they mark.
type prediction struct {
	Label         string        `json:"label,omitempty"`
	Labels        []string      `json:"labels,omitzero"`
	Probabilities probabilities `json:"probabilities,omitzero"`
	Value         *float32      `json:"value,omitempty"`
	Tokens        []string      `json:"tokens,omitzero"`
	Tags          []string      `json:"tags,omitzero"`
	// Entities is omitted if the labels mark no entities.
	Entities  []predict.Entity `json:"entities,omitzero"`
	Truncated bool             `json:"truncated,omitempty"`
}

// probabilities is an object with the labels as keys, in their order.
type probabilities struct {
	labels []string
	values []float32
}

// IsZero reports whether there are no labels.
func (p probabilities) IsZero() bool { return p.labels == nil }

// MarshalJSON writes the object.
func (p probabilities) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	for i, label := range p.labels {
		key, err := json.Marshal(label)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(p.values[i])
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "%c%s:%s", "{,"[min(i, 1)], key, value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// predict answers POST /predict.
func (l *labels) predict(w http.ResponseWriter, r *http.Request) error {
	raw, leave, err := l.worker.receive(w, r)
	if err != nil {
		return err
	}
	defer leave()
	var in predictRequest
	if err := decodeJSON(raw, &in); err != nil {
		return err
	}
	switch n := len(in.Texts); {
	case in.Texts == nil:
		return refusal(http.StatusBadRequest, `serve: predict: the request has no texts; want {"texts": ["a text", ...]}`)
	case n > l.options.MaxRows:
		return refusal(http.StatusRequestEntityTooLarge, "serve: predict: the request has %d texts; want at most %d", n,
			l.options.MaxRows)
	}
	a, err := l.adapters.acquire(in.Adapter)
	if err != nil {
		return err
	}
	defer l.adapters.release(a)
	task := a.model.Task(0)
	examples := make([]dataset.Example, len(in.Texts))
	for i, raw := range in.Texts {
		if examples[i], err = parse(raw, a.name, task); err != nil {
			return refusal(http.StatusBadRequest, "serve: predict: texts[%d] %w", i, err)
		}
		examples[i].ID, examples[i].Line = i, i+1
	}
	out := predictAnswer{Adapter: a.name, Predictions: []prediction{}}
	if len(examples) > 0 {
		done, err := l.compute(r.Context(), a, examples)
		if err != nil {
			return err
		}
		out.Predictions = predictions(task, done)
	}
	leave() // a client that has its answer may send the next request
	writeJSON(w, http.StatusOK, out)
	return nil
}

// predictions returns the predictions for texts from their outputs.
func predictions(task adapter.Task, r *rows) []prediction {
	all, width := make([]prediction, len(r.examples)), len(r.values)/len(r.examples)
	for i := range all {
		p := &all[i]
		p.Truncated = r.cut[i]
		if task.Kind == adapter.Tokens {
			p.Tokens, p.Tags, p.Entities = predict.Tagged(task, r.examples[i], r.values, r.words[i])
			continue
		}
		values := r.values[i*width : (i+1)*width]
		if task.Labels == nil {
			p.Value = &values[0]
			continue
		}
		p.Probabilities = probabilities{task.Labels, make([]float32, width)}
		if task.Kind == adapter.MultiLabel {
			p.Labels = predict.Independent(p.Probabilities.values, values, task)
			continue
		}
		p.Label = task.Labels[predict.Probabilities(p.Probabilities.values, values)]
	}
	return all
}

// parse reads a text of a request for an adapter.
func parse(raw json.RawMessage, name string, task adapter.Task) (dataset.Example, error) {
	if task.Kind == adapter.Tokens {
		return parseSentence(raw)
	}
	return parseText(raw, name, task.Text)
}

// parseSentence reads a text whose words are tagged: a string, which is divided at blanks, a list of words, or an
// object with one of them.
func parseSentence(raw json.RawMessage) (x dataset.Example, err error) {
	if raw[0] == '{' {
		var fields map[string]json.RawMessage
		if err := strictjson.Unmarshal(raw, &fields); err != nil {
			return x, err
		}
		value, ok := fields["tokens"]
		if !ok {
			value, ok = fields["text"]
		}
		if !ok {
			return x, errors.New(`has neither "tokens" nor "text"; want a list of words or a string`)
		}
		raw = value
	}
	switch {
	case raw[0] == '"' && json.Unmarshal(raw, &x.TextA) == nil:
		return x, nil
	case raw[0] == '[' && !bytes.Contains(raw, []byte("null")) && json.Unmarshal(raw, &x.Words) == nil:
		x.TextA = strings.Join(x.Words, " ")
		return x, nil
	}
	return x, fmt.Errorf("is %s; want a string, a list of words, or an object with one of them as text or tokens",
		place.Quote(string(raw)))
}

// parseText reads a text of a request: a string, a pair of strings, or an object with the columns of the training data,
// as in a row of JSON lines. The adapter may not record its columns.
func parseText(raw json.RawMessage, name string, columns []string) (x dataset.Example, err error) {
	switch raw[0] {
	case '"':
		err = json.Unmarshal(raw, &x.TextA)
	case '[':
		var list []string
		if json.Unmarshal(raw, &list) != nil || len(list) != 2 {
			return x, errors.New("is an array; want two strings, the texts of a pair")
		}
		x.TextA, x.TextB = list[0], &list[1]
	case '{':
		return parseColumns(raw, columns)
	default:
		return x, fmt.Errorf("is %s; want a string, two strings in an array, or an object with the columns of the text",
			place.Quote(string(raw)))
	}
	if err == nil && columns != nil && len(columns) != 1 && x.TextB == nil {
		return x, fmt.Errorf("is one text, and the adapter %s was trained on pairs, %s; want two strings in an array",
			place.Quote(name), place.List(columns))
	}
	if err == nil && len(columns) == 1 && x.TextB != nil {
		return x, fmt.Errorf("is a pair, and the adapter %s was trained on single texts, %s; want a string",
			place.Quote(name), place.List(columns))
	}
	return x, err
}

// parseColumns reads a text that is an object. Further columns are ignored, as in a file.
func parseColumns(raw json.RawMessage, columns []string) (x dataset.Example, err error) {
	if columns == nil {
		columns = []string{"text"}
	}
	var fields map[string]json.RawMessage
	if err := strictjson.Unmarshal(raw, &fields); err != nil {
		return x, err
	}
	texts := make([]string, len(columns))
	for i, column := range columns {
		value, ok := fields[column]
		if !ok {
			return x, fmt.Errorf("has no column %s; want %s", place.Quote(column), place.List(columns))
		}
		if value[0] != '"' || json.Unmarshal(value, &texts[i]) != nil {
			return x, fmt.Errorf("has %s in the column %s; want a string", place.Quote(string(value)), place.Quote(column))
		}
	}
	x.TextA = texts[0]
	if len(texts) == 2 {
		x.TextB = &texts[1]
	}
	return x, nil
}
