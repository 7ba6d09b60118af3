package place

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"
)

// JSON explains an error of json.Unmarshal about text. It returns the offset of the byte at which the fault was found
// and a description of the fault in terms of JSON, not of Go. The offset of a value of the wrong kind is that of its
// last byte, or of its first byte for an array or object. For any other error ok is false and what is the error's text.
func JSON(text []byte, err error) (offset int, what string, ok bool) {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	// Both offsets count the bytes read, the one at fault included.
	switch {
	case errors.As(err, &syntax):
		at := max(0, int(syntax.Offset)-1)
		at, what = broken(text, at, syntax.Error())
		return at, what, true
	case errors.As(err, &kind):
		return max(0, int(kind.Offset)-1), mismatch(kind), true
	}
	return 0, err.Error(), false
}

// syntaxFaults are the faults that encoding/json finds, by a part of its text that no other fault has, and how they are
// described. %s is the word or the character at fault.
var syntaxFaults = []struct{ part, what string }{
	{"looking for beginning of value", "%s stands where a value must be"},
	{"looking for beginning of object key", "%s stands where a key in double quotes must be"},
	{"after object key:value pair", `%s stands where a comma or "}" must be`},
	{"after object key", "%s stands where the colon after a key must be"},
	{"after array element", `%s stands where a comma or "]" must be`},
	{"after top-level value", "%s follows the end of the JSON value"},
	{"in string literal", "a string contains %s, which must be written as an escape"},
	{"in string escape code", "a string has %s after a backslash, which is no escape of JSON"},
	{"hexadecimal character escape", `a string has %s in an escape of four hexadecimal digits`},
	{"numeric literal", "a number has %s where a digit must be"},
	{"in literal ", "%s stands where a value must be"},
	{"unexpected end of JSON input", "the text ends before its JSON value is complete"},
	{"exceeded max depth", "arrays and objects nest too deep at %s"},
}

// broken describes a syntax error that encoding/json found at an offset of text. It returns the offset at which the
// word at fault begins.
func broken(text []byte, at int, fault string) (start int, what string) {
	for _, f := range syntaxFaults {
		if !strings.Contains(fault, f.part) {
			continue
		}
		if !strings.Contains(f.what, "%s") {
			return at, f.what
		}
		start, end := at, at
		if strings.HasSuffix(f.what, "where a value must be") {
			start, end = word(text, at)
		}
		if start == end {
			_, size := utf8.DecodeRune(text[min(at, len(text)):])
			end = at + size
		}
		return start, fmt.Sprintf(f.what, Quote(string(text[min(start, len(text)):min(end, len(text))])))
	}
	return at, "it is not JSON"
}

// word returns the bounds of the letters around an offset of text, such as those of NaN or None.
func word(text []byte, at int) (start, end int) {
	letter := func(i int) bool {
		return i >= 0 && i < len(text) && text[i] < utf8.RuneSelf && unicode.IsLetter(rune(text[i]))
	}
	start, end = at, at
	for letter(start - 1) {
		start--
	}
	for letter(end) {
		end++
	}
	return start, end
}

// mismatch describes a type fault. It writes "holds" and not "is", because
// encoding/json names the field also if only an element of its array is wrong.
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

// kindName returns the kind of JSON value that decodes into a Go type.
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
