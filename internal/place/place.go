// Package place says where in a text a fault lies, for the errors of all
// packages that read files.
package place

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"
)

// Position is a place in a text as editors show it. Line and Column count from
// 1, columns in runes.
type Position struct{ Line, Column int }

// String writes p as line:column, to stand behind a path and a colon.
func (p Position) String() string { return fmt.Sprintf("%d:%d", p.Line, p.Column) }

// At returns the position of the byte at offset, which is that of the rune it
// belongs to. An offset outside of text counts as the nearer end.
func At(text []byte, offset int) Position {
	offset = min(max(0, offset), len(text))
	// A file that is cut off may end inside what is one column.
	for back := 1; back < utf8.UTFMax && back <= offset; back++ {
		if _, size := utf8.DecodeRune(text[offset-back:]); size > back {
			offset -= back
			break
		}
	}
	before := text[:offset]
	return Position{
		Line:   1 + bytes.Count(before, []byte("\n")),
		Column: 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]),
	}
}

// JSON explains an error of json.Unmarshal: the offset of the byte at which it
// saw the fault and, in the words of JSON rather than Go, what is wrong. A value
// of the wrong kind is placed at its last byte, an array or object at its first.
// Any other error has no place: ok is false and what is the error's own text.
func JSON(err error) (offset int, what string, ok bool) {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	// Both offsets count the bytes read, the one at fault included.
	switch {
	case errors.As(err, &syntax):
		return max(0, int(syntax.Offset)-1), syntax.Error(), true
	case errors.As(err, &kind):
		return max(0, int(kind.Offset)-1), mismatch(kind), true
	}
	return 0, err.Error(), false
}

// mismatch puts a type fault into words. "Holds", because encoding/json names
// the field also where an element of its array is at fault.
func mismatch(e *json.UnmarshalTypeError) string {
	subject := e.Field
	if subject == "" {
		subject = "the text"
	}
	want := kindName(e.Type)
	number, literal := strings.CutPrefix(e.Value, "number ")
	switch {
	case !literal:
		return fmt.Sprintf("%s holds a JSON %s, not %s", subject, e.Value, want)
	case want == whole && strings.ContainsAny(number, ".eE"):
		return fmt.Sprintf("%s holds %s, not %s in plain digits", subject, number, want)
	}
	return fmt.Sprintf("%s holds %s, which is out of range", subject, number)
}

const whole = "a whole number"

// kindName says what JSON is decoded into a Go type.
func kindName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return kindName(t.Elem())
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Slice, reflect.Array:
		return "an array"
	case reflect.Map, reflect.Struct:
		return "an object"
	}
	return whole
}
