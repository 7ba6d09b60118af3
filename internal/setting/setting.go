// Package setting describes the keys of a run file by the tags of struct fields. The help, the reference of run files,
// the JSON schema, completion and validation are all made from these tags:
//
//	Rank int `yaml:"rank" doc:"inner width r of B A" range:"1..256" example:"4"`
//
//	yaml      the key; yaml:",inline" takes in the keys of an embedded struct
//	doc       what the key means: half a sentence without a full stop
//	range     the numbers that are allowed, see ParseRange; for a list, what its elements can be
//	words     the words that are allowed, with bars between them; a leading bar allows the empty string as well. The
//	          words of a list are proposals, and others are allowed too
//	example   a value for the reference, in YAML
//	path      "true" for a string that names a file or a directory
//	required  "true" for a key that has no default and that a run needs
//	unset     what holds where no source sets the key, for a key that has no number as its default. The field is then 0,
//	          which stands for "not set": a 0 that somebody writes must be in the range, or it is refused
package setting

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/lor2c/lor2c/internal/nearest"
)

// Field describes one key.
type Field struct {
	Name     string       // as in the section, without the section's name
	Type     reflect.Type // of the values
	Index    []int        // of the struct field, for reflect.Value.FieldByIndex
	Doc      string       // half a sentence, without a full stop
	Example  string       // as YAML; empty if the tags have none
	Range    *Range       // the numbers that are allowed, or can be in a list; nil where any is
	Values   []string     // the words that are allowed, or are proposed for a list; nil where any is
	Empty    bool         // the empty string is allowed beside Values
	Path     bool         // the value names a file or a directory
	Required bool         // has no default, and a run needs a value
	Unset    string       // what holds where the key is not set, which the value 0 stands for; "" if the key has a default
}

// Bug is the value of a panic about tags that this package cannot read, which no run file can cause.
type Bug struct{ What string }

func (b Bug) Error() string { return "setting: " + b.What }

// Of returns the description of the field f of a struct.
func Of(f reflect.StructField) Field {
	name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	d := Field{
		Name: name, Type: f.Type, Index: f.Index, Doc: f.Tag.Get("doc"), Example: f.Tag.Get("example"),
		Path: f.Tag.Get("path") == "true", Required: f.Tag.Get("required") == "true", Unset: f.Tag.Get("unset"),
	}
	if text := f.Tag.Get("range"); text != "" {
		r, err := ParseRange(text)
		if err != nil {
			panic(Bug{fmt.Sprintf("the range of %s: %v", name, err)})
		}
		d.Range = &r
	}
	if text := f.Tag.Get("words"); text != "" {
		d.Values = strings.Split(text, "|")
		if d.Empty = d.Values[0] == ""; d.Empty {
			d.Values = d.Values[1:]
		}
	}
	return d
}

// known has the result of Fields by type. The tags of a type never change, and every command asks for many of them as
// it starts.
var known sync.Map

// Fields lists the keys of a struct type in the order of its fields. Embedded structs with the tag yaml:",inline" give
// their keys in their place. The caller must not change the list.
func Fields(t reflect.Type) []Field {
	if fields, ok := known.Load(t); ok {
		return fields.([]Field)
	}
	fields := read(t)
	known.Store(t, fields)
	return fields
}

func read(t reflect.Type) (fields []Field) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case f.Anonymous && options == "inline":
			for _, inner := range Fields(f.Type) {
				inner.Index = append(slices.Clone(f.Index), inner.Index...)
				fields = append(fields, inner)
			}
		case name == "":
			panic(Bug{fmt.Sprintf("%s.%s has no key in its yaml tag", t, f.Name)})
		default:
			fields = append(fields, Of(f))
		}
	}
	return fields
}

// Check returns what is wrong with v, a value of f, and what would be right; "" if nothing is. element is "[i]" where
// an element of a list is at fault.
func (f Field) Check(v reflect.Value) (element, what string) {
	switch {
	case v.Kind() == reflect.Pointer && v.IsNil():
		return "", ""
	case v.Kind() == reflect.Pointer:
		return f.Check(v.Elem())
	case v.Kind() == reflect.Slice && f.Range != nil:
		for i := range v.Len() {
			if _, what := f.Check(v.Index(i)); what != "" {
				return fmt.Sprintf("[%d]", i), what
			}
		}
		return "", ""
	case v.Kind() == reflect.String && f.Values != nil:
		if !slices.Contains(f.Values, v.String()) && !(f.Empty && v.String() == "") {
			return "", fmt.Sprintf("is %q; want %s", v.String(), f.words(v.String()))
		}
	case v.Kind() == reflect.String && f.Required && v.String() == "":
		return "", "is empty; want the " + f.Doc
	case v.CanInt() && f.Range != nil:
		if !f.Range.Holds(float64(v.Int())) {
			return "", fmt.Sprintf("is %d; want %s", v.Int(), f.Range)
		}
	case v.CanFloat() && f.Range != nil:
		if x := v.Float(); math.IsInf(x, 0) && f.Range.Holds(x) {
			return "", fmt.Sprintf("is %v; want %s and finite", x, f.Range)
		} else if !f.Range.Holds(x) {
			return "", fmt.Sprintf("is %v; want %s", x, f.Range)
		}
	}
	return "", ""
}

// words lists the allowed words as "a, b or c", and of a long list also the one that was probably meant by got.
func (f Field) words(got string) string {
	const long = 4
	last := len(f.Values) - 1
	if last == 0 {
		return f.Values[0]
	}
	list := strings.Join(f.Values[:last], ", ") + " or " + f.Values[last]
	if name, near := nearest.Name(got, f.Values); near && len(f.Values) >= long {
		list += fmt.Sprintf(" (nearest %q)", name)
	}
	return list
}

// Fault is a value that the tags of its key do not allow.
type Fault struct {
	Key  string // with the section, and with the index of an element, as train.extend_epochs[1]
	What string // what is wrong, and what would be right
}

func (f *Fault) Error() string { return f.Key + ": " + f.What }

// Faults returns a [*Fault] for every key of a section whose value the tags do not allow, in the order of the keys. v
// is a struct or a pointer to one. The name of a section is empty for keys outside of sections. A key that is not set
// is not at fault.
func Faults(section string, v any) (faults []error) {
	if section != "" {
		section += "."
	}
	s := reflect.Indirect(reflect.ValueOf(v))
	for _, f := range Fields(s.Type()) {
		v := s.FieldByIndex(f.Index)
		if f.Unset != "" && v.IsZero() {
			continue
		}
		if element, what := f.Check(v); what != "" {
			faults = append(faults, &Fault{section + f.Name + element, what})
		}
	}
	return faults
}
