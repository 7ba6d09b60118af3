package dataset

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/strictjson"
)

// jsonlRows reads the rows of a file with one JSON object per line.
type jsonlRows struct {
	lines
	parse func(line string) (row, error)
	id    int // of the next row
}

func openJSONL(path string, r io.Reader, l layout) *jsonlRows {
	return &jsonlRows{lines: linesOf(path, r), parse: func(line string) (row, error) { return jsonRow(line, l) }}
}

// next implements rows.
func (j *jsonlRows) next() (row, error) {
	line, err := j.lines.next()
	for err == nil && strings.TrimSpace(line) == "" {
		line, err = j.lines.next()
	}
	if err == io.EOF {
		return row{}, err
	}
	id := j.id
	j.id++
	if err != nil {
		return row{id: id}, err
	}
	one, err := j.parse(line)
	one.id, one.line = id, j.n
	var at *strictjson.Error
	switch {
	case errors.As(err, &at):
		return one, badRow("dataset: read %s:%d:%d: %s; want one JSON object per line", j.path, j.n, at.Position.Column,
			at.What)
	case err != nil:
		return one, badRow("dataset: read %s:%d: %w", j.path, j.n, err)
	}
	return one, nil
}

// readJSONL reads one JSON object per line. A label may be a string, a number
// or a bool; if the key is null or absent, the example has no label.
func readJSONL(path string, r io.Reader, l layout) (t table, err error) {
	if err := t.fill(openJSONL(path, r, l), false); err != nil {
		return t, err
	}
	if len(t.rows) == 0 {
		return t, errEmpty(path)
	}
	return t, nil
}

func jsonRow(line string, l layout) (row, error) {
	object, keys, err := jsonObject(line)
	if err != nil {
		return row{}, err
	}
	texts := make([]string, len(l.text))
	for i, name := range l.text {
		raw, ok := object[name]
		if !ok {
			return row{}, fmt.Errorf("no key %q; the line has %s", name, oneOf(name, keys))
		}
		// Unmarshalling null into a string would silently give "".
		if err := json.Unmarshal(raw, &texts[i]); err != nil || string(raw) == "null" {
			return row{}, fmt.Errorf("%q holds %s; want a string", name, place.List([]string{string(raw)}))
		}
		if err := checkText(texts[i]); err != nil {
			return row{}, fmt.Errorf("%q %w", name, err)
		}
	}
	r := row{a: texts[0]}
	if len(texts) == 2 {
		r.b = &texts[1]
	}
	if err := r.readKept(object, keys, l.keep); err != nil {
		return row{}, err
	}
	if l.flags != nil {
		return r, r.readFlags(object, keys, l)
	}
	return r, r.readLabel(object, keys, l)
}

// readKept reads the keys that rows keep.
func (r *row) readKept(object map[string]json.RawMessage, keys, keep []string) error {
	for _, name := range keep {
		value, err := jsonValue(name, object, keys)
		if err != nil {
			return err
		}
		r.kept = append(r.kept, value)
	}
	return nil
}

// readLabel reads the key of the label, or of the list of labels.
func (r *row) readLabel(object map[string]json.RawMessage, keys []string, l layout) (err error) {
	raw, ok := object[l.label]
	if !ok && l.needLabel {
		return fmt.Errorf("no key %q; the line has %s", l.label, oneOf(l.label, keys))
	}
	if !ok || string(raw) == "null" || l.label == "" {
		return nil
	}
	if r.kind = jsonKind(raw); l.lists && r.kind == "array" {
		r.list, err = labelList(raw)
		r.hasLabel = true
		return err
	}
	r.label, err = labelText(raw)
	if r.kind == "number" && r.label != string(raw) {
		r.written = string(raw)
	}
	r.hasLabel = l.lists || strings.TrimSpace(r.label) != ""
	return err
}

// readFlags reads the keys of 0 and 1. An example without any of them has no labels.
func (r *row) readFlags(object map[string]json.RawMessage, keys []string, l layout) error {
	if !l.needLabel && !slices.ContainsFunc(l.flags, func(name string) bool { return object[name] != nil }) {
		return nil
	}
	for _, name := range l.flags {
		raw, ok := object[name]
		if !ok {
			return fmt.Errorf("no key %q; the line has %s", name, oneOf(name, keys))
		}
		flag := ""
		if string(raw) != "null" {
			var err error
			if flag, err = labelText(raw); err != nil {
				return fmt.Errorf("%q holds %s; want 0 or 1", name, place.List([]string{string(raw)}))
			}
		}
		r.flags, r.hasLabel = append(r.flags, flag), true
	}
	return nil
}

// labelList returns the labels of a JSON list, which is not nil.
func labelList(raw json.RawMessage) ([]string, error) {
	var items []json.RawMessage
	if err := json.Unmarshal(raw, &items); err != nil {
		return nil, err
	}
	list := make([]string, len(items))
	for i, item := range items {
		if string(item) == "null" {
			return nil, fmt.Errorf("the list of labels has a null; want strings, numbers or bools")
		}
		var err error
		if list[i], err = labelText(item); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// jsonValue returns the value of a key of an object.
func jsonValue(name string, object map[string]json.RawMessage, keys []string) (v Value, err error) {
	raw, ok := object[name]
	if !ok {
		return v, fmt.Errorf("no key %q; the line has %s", name, oneOf(name, keys))
	}
	if jsonKind(raw) == "string" {
		err = json.Unmarshal(raw, &v.Text)
		return v, err
	}
	var line bytes.Buffer
	err = json.Compact(&line, raw)
	return Value{Text: line.String(), JSON: true}, err
}

// jsonKind returns the kind of a JSON value, which its first byte tells.
func jsonKind(raw json.RawMessage) string {
	switch raw = bytes.TrimLeft(raw, " \t\r\n"); raw[0] {
	case '"':
		return "string"
	case '{':
		return "object"
	case '[':
		return "array"
	case 't', 'f':
		return "bool"
	case 'n':
		return "null"
	}
	return "number"
}

// labelText returns a JSON label as a `labels:` list would have it: 1 and 1.0
// are the same class.
func labelText(raw json.RawMessage) (string, error) {
	switch raw[0] {
	case '"':
		var s string
		err := json.Unmarshal(raw, &s)
		return s, err
	case '{', '[':
		return "", fmt.Errorf("label is %.40s; want a string, number or bool, or data.kind: multilabel for a list", raw)
	case 't', 'f':
		return string(raw), nil
	}
	v, err := strconv.ParseFloat(string(raw), 64)
	if err == nil && math.Abs(v) < 1<<53 && v == math.Trunc(v) {
		return strconv.FormatInt(int64(v), 10), nil
	}
	return string(raw), nil
}
