// Package strictjson decodes JSON files of other programs and refuses those
// that two programs could read differently. Package encoding/json keeps the
// last of two equal keys and accepts "NUM_LAYERS" for a field named
// "num_layers"; Python does not. Here a repeated key is an error at any depth,
// and so is a key that differs from a known key in case only.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/lor2c/lor2c/internal/place"
)

// maxDepth is the most levels of nested arrays and objects. Files of Hugging
// Face have fewer than ten.
const maxDepth = 200

// Error is a fault in a JSON text, with its place.
type Error struct {
	Offset   int            // in bytes from the start of the text
	Position place.Position // the same as line and column; zero if the place is not known
	What     string         // the fault without its place
}

// Error returns "line:column: what is wrong", which is meant to follow a path
// and a colon directly. If the place is not known it starts with a space.
func (e *Error) Error() string {
	if e.Position == (place.Position{}) {
		return " " + e.What
	}
	return e.Position.String() + ": " + e.What
}

// WithoutPlace returns err without the place of an [*Error], for a text that is a part of a file.
func WithoutPlace(err error) error {
	var at *Error
	if errors.As(err, &at) {
		return errors.New(at.What)
	}
	return err
}

func fault(text []byte, offset int, format string, a ...any) *Error {
	return &Error{offset, place.At(text, offset), fmt.Sprintf(format, a...)}
}

// Unmarshal decodes text, one JSON value in UTF-8, into what v points to. Keys
// that v has no field for are ignored unless they equal a field in another case.
// The error is an [*Error].
func Unmarshal(text []byte, v any) error { return unmarshal(text, v, false) }

// UnmarshalKnown decodes as [Unmarshal] does, but a key that v has no field for
// is an error.
func UnmarshalKnown(text []byte, v any) error { return unmarshal(text, v, true) }

func unmarshal(text []byte, v any, known bool) error {
	if err := Syntax(text); err != nil {
		return err
	}
	w := walker{text: text, known: known}
	if err := w.value(reflect.TypeOf(v), 0); err != nil {
		return fault(text, w.at-1, "%v", err)
	}
	if err := json.Unmarshal(text, v); err != nil {
		at, what, ok := place.JSON(text, err)
		if !ok {
			// An error of an UnmarshalJSON method has no place.
			return &Error{What: what}
		}
		return fault(text, at, "%s", what)
	}
	return nil
}

// Syntax returns an [*Error] with the place at which text stops being one JSON
// value in UTF-8. After it has returned nil, decoding text meets no syntax
// error.
func Syntax(text []byte) error {
	if utf8.Valid(text) && json.Valid(text) {
		return nil
	}
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && n == 1 {
			return fault(text, i, "invalid UTF-8 byte 0x%02x", text[i])
		}
		i += n
	}
	var raw json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil {
		at, what, _ := place.JSON(text, err)
		return fault(text, at, "%s", what)
	}
	return nil
}

// Object reads one JSON object from d and calls visit after each key; visit must
// consume the value. A repeated key is an error. what names the object in errors.
func Object(d *json.Decoder, what string, visit func(key string) error) error {
	open, err := d.Token()
	if err != nil || open != json.Delim('{') {
		return fmt.Errorf("%s is not a JSON object; {...} is expected", what)
	}
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		key := t.(string)
		if seen[key] {
			return repeated(what, key)
		}
		seen[key] = true
		if err := visit(key); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

// walker compares the keys of a text, in which Syntax finds no fault, with the fields of a Go type. Tokenizers have
// megabytes, so it does not use a [json.Decoder], which takes ten times as long.
type walker struct {
	text  []byte
	at    int  // in bytes from the start of text
	known bool // whether a key without a field is an error
}

// value reads one value that is to be decoded into type t. t is nil if the type
// is not known.
func (w *walker) value(t reflect.Type, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("arrays and objects nest deeper than %d", maxDepth)
	}
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch w.next() {
	case '[':
		w.at++
		element := elementOf(t, reflect.Slice, reflect.Array)
		for w.next() != ']' {
			if err := w.value(element, depth+1); err != nil {
				return err
			}
		}
		w.at++
	case '{':
		w.at++
		if err := w.members(elementOf(t, reflect.Map), fieldsOf(t), depth); err != nil {
			return err
		}
		w.at++
	case '"':
		w.skipString()
	default:
		for w.at < len(w.text) && !strings.ContainsRune(between+"]}", rune(w.text[w.at])) {
			w.at++
		}
	}
	return nil
}

// members reads an object up to its closing brace. The values of keys that are not among fields are decoded into
// element if fields is nil.
func (w *walker) members(element reflect.Type, fields map[string]reflect.Type, depth int) error {
	seen := map[string]bool{}
	for w.next() != '}' {
		start := w.at
		w.skipString()
		key := unquoted(w.text[start:w.at])
		if seen[key] {
			return repeated("the object", key)
		}
		seen[key] = true
		of, found := fields[key]
		if fields != nil && !found {
			if err := w.unknown(key, fields); err != nil {
				return err
			}
		}
		if fields == nil {
			of = element
		}
		if err := w.value(of, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// between are the characters between the tokens of a text.
const between = " \t\r\n,:"

// next returns the first character of the next token, without reading it.
func (w *walker) next() byte {
	for w.at < len(w.text) && strings.IndexByte(between, w.text[w.at]) >= 0 {
		w.at++
	}
	if w.at == len(w.text) {
		return 0
	}
	return w.text[w.at]
}

// skipString reads a string.
func (w *walker) skipString() {
	for w.at++; w.text[w.at] != '"'; w.at++ {
		if w.text[w.at] == '\\' {
			w.at++
		}
	}
	w.at++
}

// unquoted returns the text of a string.
func unquoted(raw []byte) (text string) {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1])
	}
	_ = json.Unmarshal(raw, &text) // the syntax is right
	return text
}

// repeated returns the error for a key that an object has twice.
func repeated(what, key string) error {
	return fmt.Errorf("%s has the key %s twice; every key may appear once", what, place.Quote(key))
}

// unknown returns an error for key, which has no field, if such a key is not
// allowed or equals a field in another case.
func (w *walker) unknown(key string, fields map[string]reflect.Type) error {
	for name := range fields {
		if strings.EqualFold(name, key) {
			return fmt.Errorf("the key %s is %s in another case; want it written so", place.Quote(key), place.Quote(name))
		}
	}
	if w.known {
		return fmt.Errorf("the key %s is not known", place.Quote(key))
	}
	return nil
}

// elementOf returns the type of the elements of t if t is of one of kinds, and
// nil otherwise.
func elementOf(t reflect.Type, kinds ...reflect.Kind) reflect.Type {
	for _, k := range kinds {
		if t != nil && t.Kind() == k {
			return t.Elem()
		}
	}
	return nil
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

// fieldsOf returns the types of the fields of a struct by their JSON keys. It
// returns nil if t is not a struct or has its own UnmarshalJSON.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	if t == nil || t.Kind() != reflect.Struct || reflect.PointerTo(t).Implements(unmarshaler) {
		return nil
	}
	fields := map[string]reflect.Type{}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case !f.IsExported() || f.Tag.Get("json") == "-" || f.Anonymous && name == "":
		case name == "":
			fields[f.Name] = f.Type
		default:
			fields[name] = f.Type
		}
	}
	return fields
}
