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
		return t.Float64()
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
	var out strings.Builder
	if err := writeJSON(&out, in.Interface(), indent, 0); err != nil {
		return exec.AsValue(err)
	}
	return exec.AsSafeValue(out.String())
}

func writeJSON(out *strings.Builder, v any, indent, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("tojson: the value is nested more than %d levels deep", maxDepth)
	}
	newline := func(depth int) {
		if indent >= 0 {
			out.WriteString("\n" + strings.Repeat(" ", indent*depth))
		}
	}
	separator := ", "
	if indent >= 0 {
		separator = ","
	}
	list := func(open, shut string, n int, item func(i int) error) error {
		out.WriteString(open)
		for i := range n {
			if i > 0 {
				out.WriteString(separator)
			}
			newline(depth + 1)
			if err := item(i); err != nil {
				return err
			}
		}
		if n > 0 {
			newline(depth)
		}
		out.WriteString(shut)
		return nil
	}
	switch v := v.(type) {
	case nil:
		out.WriteString("null")
	case bool:
		out.WriteString(strconv.FormatBool(v))
	case int:
		out.WriteString(strconv.Itoa(v))
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return errors.New("tojson: the number is not finite")
		}
		out.WriteString(pythonFloat(v))
	case string:
		writeString(out, v)
	case *exec.Value:
		return writeJSON(out, v.Interface(), indent, depth)
	case []any:
		return list("[", "]", len(v), func(i int) error { return writeJSON(out, v[i], indent, depth+1) })
	case *exec.Dict:
		return list("{", "}", len(v.Pairs), func(i int) error {
			writeString(out, v.Pairs[i].Key.String())
			out.WriteString(": ")
			return writeJSON(out, v.Pairs[i].Value, indent, depth+1)
		})
	case exec.Dict:
		return writeJSON(out, &v, indent, depth)
	default:
		return fmt.Errorf("tojson: a value of type %T is not supported; supported: what JSON has", v)
	}
	return nil
}

// writeString writes a JSON string as Python does, which escapes quotes,
// backslashes and control characters only.
func writeString(out *strings.Builder, s string) {
	out.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			out.WriteByte('\\')
			out.WriteRune(r)
		case r < 0x20:
			short := map[rune]string{'\n': `\n`, '\r': `\r`, '\t': `\t`, '\b': `\b`, '\f': `\f`}[r]
			if short == "" {
				short = fmt.Sprintf(`\u%04x`, r)
			}
			out.WriteString(short)
		default:
			out.WriteRune(r)
		}
	}
	out.WriteByte('"')
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
