package dataset

import (
	"bufio"
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
)

// readJSONL reads one object a line. A label may be a string, a number or a
// bool; null and an absent key mean there is none.
func readJSONL(path string, r io.Reader, l layout) ([]row, error) {
	in := lines{path: path, r: bufio.NewReader(r)}
	var rows []row
	for {
		line, err := in.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if strings.TrimSpace(line) == "" {
			continue
		}
		one, err := jsonRow(line, l)
		if err != nil {
			if at, what, ok := place.JSON(err); ok {
				column := place.At([]byte(line), at).Column
				return nil, fmt.Errorf("dataset: read %s:%d:%d: %s; want one JSON object a line", path, in.n, column, what)
			}
			return nil, fmt.Errorf("dataset: read %s:%d: %w", path, in.n, err)
		}
		one.id, one.line = len(rows), in.n
		rows = append(rows, one)
	}
	if len(rows) == 0 {
		return nil, errEmpty(path)
	}
	return rows, nil
}

func jsonRow(line string, l layout) (row, error) {
	var object map[string]json.RawMessage
	err := json.Unmarshal([]byte(line), &object)
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return row{}, fmt.Errorf("line holds a JSON %s; want one JSON object a line", kind.Value)
	}
	if err != nil {
		return row{}, err
	}
	if object == nil {
		return row{}, errors.New("line holds a JSON null; want one JSON object a line")
	}
	keys := slices.Sorted(maps.Keys(object))
	texts := make([]string, len(l.text))
	for i, name := range l.text {
		raw, ok := object[name]
		if !ok {
			return row{}, fmt.Errorf("no key %q; the line has %s", name, oneOf(name, keys))
		}
		// Unmarshalling null into a string would leave "" without a word.
		if err := json.Unmarshal(raw, &texts[i]); err != nil || string(raw) == "null" {
			return row{}, fmt.Errorf("%q holds %.40s; want a string", name, raw)
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
	r.label, err = labelText(raw)
	r.hasLabel = r.label != ""
	return r, err
}

// labelText writes a JSON label the way a `labels:` list would: 1 and 1.0 are
// the same class.
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
