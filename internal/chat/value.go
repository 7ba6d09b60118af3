package chat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/nikolalohinski/gonja/v2/exec"

	"github.com/lor2c/lor2c/internal/place"
)

// maxDepth is the most levels of nested JSON in a message or a tool.
const maxDepth = 32

// decodeJSON returns a JSON value as gonja has it. Objects keep the order of
// their keys, as Python's dictionaries do. clean is applied to all texts.
func decodeJSON(raw []byte, clean *strings.Replacer) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	v, err := decodeValue(dec, clean, 0)
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("text follows the JSON value")
	}
	return v, nil
}

func decodeValue(dec *json.Decoder, clean *strings.Replacer, depth int) (any, error) {
	token, err := dec.Token()
	if err != nil {
		return nil, err
	}
	if depth > maxDepth {
		return nil, fmt.Errorf("JSON is nested more than %d levels deep", maxDepth)
	}
	switch t := token.(type) {
	case string:
		return clean.Replace(t), nil
	case json.Number:
		if n, err := strconv.Atoi(t.String()); err == nil {
			return n, nil
		}
		f, err := t.Float64()
		if err != nil {
			return nil, fmt.Errorf("the number %s is out of range", place.Quote(t.String()))
		}
		return f, nil
	case json.Delim:
		if t == '[' {
			list := []any{}
			for dec.More() {
				v, err := decodeValue(dec, clean, depth+1)
				if err != nil {
					return nil, err
				}
				list = append(list, v)
			}
			_, err := dec.Token()
			return list, err
		}
		d := exec.NewDict()
		for dec.More() {
			key, err := dec.Token()
			if err != nil {
				return nil, err
			}
			v, err := decodeValue(dec, clean, depth+1)
			if err != nil {
				return nil, err
			}
			setKey(d, clean.Replace(key.(string)), v)
		}
		_, err := dec.Token()
		return d, err
	}
	return token, nil
}

// setKey sets a key of d. Of two equal keys the last counts, at the place of the
// first, as in Python.
func setKey(d *exec.Dict, key string, value any) {
	k, v := exec.AsValue(key), exec.AsValue(value)
	for _, p := range d.Pairs {
		if p.Key.EqualValueTo(k) {
			p.Value = v
			return
		}
	}
	d.Pairs = append(d.Pairs, &exec.Pair{Key: k, Value: v})
}

// toJSON is the filter tojson of transformers: json.dumps with ensure_ascii
// false, which separates by ", " and ": " and keeps the order of keys.
func toJSON(_ *exec.Evaluator, in *exec.Value, params *exec.VarArgs) *exec.Value {
	if in.IsError() {
		return in
	}
	indent := -1
	for name, value := range params.KwArgs {
		switch {
		case name == "indent" && value.IsInteger() && value.Integer() >= 0 && value.Integer() <= 8:
			indent = value.Integer()
		case name == "indent" && value.IsNil(), name == "ensure_ascii" && !value.IsTrue():
		default:
			return exec.AsValue(fmt.Errorf("tojson: argument %s is not supported; supported: indent of 0 to 8, "+
				"ensure_ascii false", name))
		}
	}
	if len(params.Args) > 0 {
		return exec.AsValue(errors.New("tojson: want no positional argument"))
	}
	w := jsonWriter{indent: indent}
	if err := w.value(in.Interface(), 0); err != nil {
		return exec.AsValue(err)
	}
	return exec.AsSafeValue(w.String())
}

// jsonWriter writes JSON as Python's json.dumps does.
type jsonWriter struct {
	strings.Builder
	indent int // spaces for each level, or -1 for one line
}

// value writes a value that lies depth levels deep.
func (w *jsonWriter) value(v any, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("tojson: the value is nested more than %d levels deep", maxDepth)
	}
	switch v := v.(type) {
	case nil:
		w.WriteString("null")
	case bool:
		w.WriteString(strconv.FormatBool(v))
	case int:
		w.WriteString(strconv.Itoa(v))
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return errors.New("tojson: the number is not finite")
		}
		w.WriteString(pythonFloat(v))
	case string:
		w.text(v)
	case *exec.Value:
		return w.value(v.Interface(), depth)
	case []any:
		return w.list("[", "]", len(v), depth, func(i int) error { return w.value(v[i], depth+1) })
	case *exec.Dict:
		return w.list("{", "}", len(v.Pairs), depth, func(i int) error {
			w.text(v.Pairs[i].Key.String())
			w.WriteString(": ")
			return w.value(v.Pairs[i].Value, depth+1)
		})
	case exec.Dict:
		return w.value(&v, depth)
	default:
		return fmt.Errorf("tojson: a value of type %T is not supported; supported: what JSON has", v)
	}
	return nil
}

// list writes n items between two brackets.
func (w *jsonWriter) list(open, shut string, n, depth int, item func(i int) error) error {
	w.WriteString(open)
	for i := range n {
		switch {
		case i == 0:
		case w.indent >= 0:
			w.WriteString(",")
		default:
			w.WriteString(", ")
		}
		w.newline(depth + 1)
		if err := item(i); err != nil {
			return err
		}
	}
	if n > 0 {
		w.newline(depth)
	}
	w.WriteString(shut)
	return nil
}

// newline begins a line, unless all is written on one.
func (w *jsonWriter) newline(depth int) {
	if w.indent >= 0 {
		w.WriteString("\n" + strings.Repeat(" ", w.indent*depth))
	}
}

// text writes a JSON string as Python does, which escapes quotes,
// backslashes and control characters only.
func (w *jsonWriter) text(s string) {
	w.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			w.WriteByte('\\')
			w.WriteRune(r)
		case r < 0x20:
			short := map[rune]string{'\n': `\n`, '\r': `\r`, '\t': `\t`, '\b': `\b`, '\f': `\f`}[r]
			if short == "" {
				short = fmt.Sprintf(`\u%04x`, r)
			}
			w.WriteString(short)
		default:
			w.WriteRune(r)
		}
	}
	w.WriteByte('"')
}

// pythonFloat returns the repr of a finite float.
func pythonFloat(f float64) string {
	if exponent := math.Floor(math.Log10(math.Abs(f))); f != 0 && (exponent < -4 || exponent >= 16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}
