package dataset

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/strictjson"
)

// readJSONL reads one JSON object per line. A label may be a string, a number
// or a bool; if the key is null or absent, the example has no label.
func readJSONL(path string, r io.Reader, l layout) (t table, err error) {
	in := lines{path: path, r: bufio.NewReaderSize(r, 1<<16)}
	for {
		line, err := in.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return t, err
		}
		if strings.TrimSpace(line) == "" {
			continue
		}
		one, err := jsonRow(line, l)
		if err != nil {
			var at *strictjson.Error
			if errors.As(err, &at) {
				return t, fmt.Errorf("dataset: read %s:%d:%d: %s; want one JSON object per line", path, in.n, at.Position.Column,
					at.What)
			}
			return t, fmt.Errorf("dataset: read %s:%d: %w", path, in.n, err)
		}
		one.id, one.line = len(t.rows), in.n
		t.rows = append(t.rows, one)
	}
	if len(t.rows) == 0 {
		return t, errEmpty(path)
	}
	return t, nil
}

func jsonRow(line string, l layout) (row, error) {
	var any json.RawMessage
	if err := strictjson.Unmarshal([]byte(line), &any); err != nil {
		return row{}, err
	}
	if kind := jsonKind(any); kind != "object" {
		return row{}, fmt.Errorf("the line is a JSON %s; want one JSON object per line", kind)
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(any, &object); err != nil {
		return row{}, err
	}
	keys := slices.Sorted(maps.Keys(object))
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
	raw, ok := object[l.label]
	if !ok && l.needLabel {
		return row{}, fmt.Errorf("no key %q; the line has %s", l.label, oneOf(l.label, keys))
	}
	if !ok || string(raw) == "null" {
		return r, nil
	}
	var err error
	r.label, err = labelText(raw)
	r.kind = jsonKind(raw)
	if r.kind == "number" && r.label != string(raw) {
		r.written = string(raw)
	}
	r.hasLabel = strings.TrimSpace(r.label) != ""
	return r, err
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
		return "", fmt.Errorf("label is %.40s; want a string, number or bool", raw)
	case 't', 'f':
		return string(raw), nil
	}
	v, err := strconv.ParseFloat(string(raw), 64)
	if err == nil && math.Abs(v) < 1<<53 && v == math.Trunc(v) {
		return strconv.FormatInt(int64(v), 10), nil
	}
	return string(raw), nil
}
