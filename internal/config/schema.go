package config

import (
	"reflect"
	"strings"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/setting"
)

// schema knows the keys of a run file from the tags of the structs that hold their values.
type schema struct {
	leaves   []leaf              // in the order of a run file
	byName   map[string]leaf     // "optim.lr"
	sections map[string][]string // "optim" -> names below it; "" is the file
}

// leaf is one key that holds a value.
type leaf struct {
	name  string       // "optim.lr"
	typ   reflect.Type // of the value
	index []int        // of the field in Config; nil in the method section
	// meanings has what the key is. A key of methods has as many as its methods have different ones.
	meanings []meaning
}

// meaning is what a key is for some methods, or for all.
type meaning struct {
	setting.Field
	initial any      // the default
	methods []string // nil where the method does not matter
}

var runFile = newSchema(reflect.TypeFor[Config](), reflect.ValueOf(Default()))

// newSchema returns the keys of the struct type t, of which v has the defaults. It panics on a struct that a run file
// cannot express, which the first test of any kind then finds.
func newSchema(t reflect.Type, v reflect.Value) *schema {
	s := &schema{byName: map[string]leaf{}, sections: map[string][]string{}}
	s.add("", t, v, nil)
	return s
}

func (s *schema) add(section string, t reflect.Type, v reflect.Value, index []int) {
	for i := range t.NumField() {
		f := t.Field(i)
		d := setting.Of(f)
		// viper finds only lower-case keys and splits keys at dots.
		if d.Name == "" || d.Name != strings.ToLower(d.Name) || strings.Contains(d.Name, ".") {
			panic(Bug{"schema", "the yaml tag of " + t.String() + "." + f.Name + " is no key"})
		}
		at := append(append([]int{}, index...), i)
		name := join(section, d.Name)
		switch {
		case f.Type == reflect.TypeFor[adapter.Config]():
			s.sections[section] = append(s.sections[section], d.Name)
			s.addMethods(name)
		case f.Type.Kind() == reflect.Struct:
			s.sections[section] = append(s.sections[section], d.Name)
			s.add(name, f.Type, v.Field(i), at)
		default:
			m := meaning{Field: d, initial: v.Field(i).Interface()}
			if section == "schedule" {
				m.methods = adapter.Scheduled()
			}
			s.leaf(leaf{name, f.Type, at, []meaning{m}})
		}
	}
}

// addMethods adds the keys of the method section: its name, and what any method takes.
func (s *schema) addMethods(section string) {
	text := reflect.TypeFor[string]()
	method := setting.Field{Type: text, Doc: "how to fine-tune", Values: adapter.Names(), Example: "lor2c"}
	s.leaf(leaf{methodName, text, nil, []meaning{{Field: method, initial: adapter.Default().Name()}}})
	for _, k := range adapter.AllKeys() {
		m := meaning{k.Field, k.Default, k.Methods}
		if at := len(s.leaves) - 1; s.leaves[at].name == join(section, k.Name) {
			s.leaves[at].meanings = append(s.leaves[at].meanings, m)
			s.byName[s.leaves[at].name] = s.leaves[at]
			continue
		}
		s.leaf(leaf{join(section, k.Name), k.Type, nil, []meaning{m}})
	}
}

func (s *schema) leaf(l leaf) {
	if want(l.typ) == "" {
		panic(Bug{"schema", l.name + " has type " + l.typ.String()})
	}
	s.sections[parent(l.name)] = append(s.sections[parent(l.name)], last(l.name))
	s.leaves = append(s.leaves, l)
	s.byName[l.name] = l
}

// ofMethods reports whether only some methods have the key.
func (l leaf) ofMethods() bool { return l.index == nil && l.name != methodName }

// get returns the value that c has for l; ok is false for a key that the method of c does not take.
func (l leaf) get(c *Config) (v reflect.Value, ok bool) {
	switch {
	case l.name == methodName:
		return reflect.ValueOf(c.Method.Name()), true
	case !l.ofMethods():
		return reflect.ValueOf(c).Elem().FieldByIndex(l.index), true
	}
	v = reflect.ValueOf(c.Method.Value(last(l.name)))
	return v, v.IsValid()
}

// set gives c a value for l, which the method of c must take. Another name of a method gives c the defaults of that
// method.
func (l leaf) set(c *Config, v reflect.Value) {
	if l.name == methodName {
		if v.String() != c.Method.Name() {
			c.Method = adapter.NewConfig(v.String())
		}
	} else if !l.ofMethods() {
		reflect.ValueOf(c).Elem().FieldByIndex(l.index).Set(v)
	} else if err := c.Method.Set(last(l.name), v.Interface()); err != nil {
		panic(Bug{"set", err.Error()})
	}
}

// path reports whether the value of l names a file or a directory.
func (l leaf) path() bool { return l.meanings[0].Path }

// names returns the keys that have a value.
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

// env returns the environment variable that sets l.
func (l leaf) env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(l.name, ".", "_"))
}

// want describes a value of type t in words. It returns "" if t cannot be read.
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
	}
	return ""
}
