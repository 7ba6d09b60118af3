package config

import (
	"reflect"
	"strings"
)

// schema knows the keys of a struct with yaml tags, so that the struct is the
// only place that lists them.
type schema struct {
	leaves   []leaf              // in the order of the struct
	byName   map[string]leaf     // "optim.lr"
	sections map[string][]string // "optim" -> names below it; "" is the file
}

// leaf is one key that holds a value.
type leaf struct {
	name  string       // "optim.lr"
	typ   reflect.Type // type of the field
	index []int        // for reflect.Value.FieldByIndex
	doc   int          // its line of docs
}

var runFile = newSchema(reflect.TypeFor[Config]())

// newSchema panics on a struct that a run file cannot express, which the first
// test of any kind then finds.
func newSchema(t reflect.Type) *schema {
	s := &schema{byName: map[string]leaf{}, sections: map[string][]string{}}
	s.add("", t, nil)
	return s
}

func (s *schema) add(section string, t reflect.Type, index []int) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		// viper finds keys in lower case only and takes dots apart.
		if tag == "" || tag != strings.ToLower(tag) || strings.Contains(tag, ".") {
			panic(Bug{"schema", "the yaml tag of " + t.String() + "." + f.Name + " is no key"})
		}
		name := join(section, tag)
		at := append(append([]int{}, index...), i)
		s.sections[section] = append(s.sections[section], tag)
		if f.Type.Kind() == reflect.Struct {
			s.add(name, f.Type, at)
			continue
		}
		if want(f.Type) == "" {
			panic(Bug{"schema", name + " has type " + f.Type.String()})
		}
		l := leaf{name, f.Type, at, len(s.leaves)}
		s.leaves = append(s.leaves, l)
		s.byName[name] = l
	}
}

// names lists the keys that hold a value.
func (s *schema) names() []string {
	names := make([]string, len(s.leaves))
	for i, l := range s.leaves {
		names[i] = l.name
	}
	return names
}

// join is the inverse of parent and last.
func join(section, name string) string {
	if section == "" {
		return name
	}
	return section + "." + name
}

// env is the environment variable that sets l.
func (l leaf) env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(l.name, ".", "_"))
}

// want says in words what a value of type t is; "" where t cannot be read.
func want(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "an integer"
	case reflect.Uint64:
		return "an integer from 0 to 18446744073709551615"
	case reflect.Float64:
		return "a number"
	case reflect.Slice:
		if t.Elem() == reflect.TypeFor[Weight]() {
			return "balanced, or a list of numbers, for example [1, 2.5]"
		}
		if t.Elem().Kind() == reflect.String {
			return "a list of strings, for example [a, b]"
		}
		if t.Elem().Kind() == reflect.Int {
			return "a list of integers, for example [2, 1]"
		}
	case reflect.Pointer:
		if w := want(t.Elem()); w != "" {
			return w + ", or null"
		}
	}
	return ""
}
