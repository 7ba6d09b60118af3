package config

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/lor2c/lor2c/internal/adapter"
)

// valid returns run files such that every allowed value of a key is valid in at
// least one of them.
func valid() (all []Config) {
	for _, kind := range []string{"classification", "regression", "multilabel", "tokens"} {
		for _, method := range adapter.Names() {
			c := Default()
			c.Method, c.Model, c.Out = adapter.NewConfig(method), "m", "o"
			c.Data.Task, c.Data.Train, c.Data.Dev = "custom", "t.csv", "d.csv"
			c.Data.Text, c.Data.Label = []string{"text"}, "label"
			c.Data.Kind, c.Train.BatchSize = kind, 1_000_000
			if kind == "tokens" {
				c.Data.Train, c.Data.Dev, c.Data.Text, c.Data.Label = "t.jsonl", "d.jsonl", []string{"tokens"}, "tags"
			}
			all = append(all, c)
		}
	}
	glue := Default()
	glue.Model, glue.Out, glue.Data.Task, glue.Data.Dir = "m", "o", "mrpc", "d"
	instruct := Default()
	instruct.Model, instruct.Out = "m", "o"
	instruct.Data.Task, instruct.Data.Train, instruct.Data.Dev = "instruct", "t.json", "0.1"
	return append(all, glue, instruct)
}

// accepts reports whether there is a valid run file for which Validate has no
// fault of key l if l is set to value.
func accepts(t *testing.T, l leaf, value reflect.Value) bool {
	t.Helper()
	for _, c := range valid() {
		if _, ok := l.get(&c); !ok {
			continue
		}
		l.set(&c, value)
		faults := fmt.Sprint(c.Validate())
		if !strings.Contains(faults, l.name+": ") && !strings.Contains(faults, l.name+"[") {
			return true
		}
	}
	return false
}

// bounds parses a range from the words of its description.
func bounds(t *testing.T, words string) (inside, outside []float64) {
	t.Helper()
	number := func(s string) float64 {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil {
			t.Fatalf("%q: %v", words, err)
		}
		return f
	}
	forms := []struct {
		form string
		read func(a, b float64)
	}{
		{`at least (\S+) and less than (\S+)`,
			func(a, b float64) { inside, outside = []float64{a, (a + b) / 2}, []float64{a - 1, b} }},
		{`more than (\S+) and at most (\S+)`,
			func(a, b float64) { inside, outside = []float64{(a + b) / 2, b}, []float64{a, a - 1, b + 1} }},
		{`more than (\S+) and less than (\S+)`,
			func(a, b float64) { inside, outside = []float64{(a + b) / 2}, []float64{a, a - 1, b} }},
		{`0, or at least (\S+) and at most (\S+)`,
			func(a, b float64) { inside, outside = []float64{0, a, a + 1, b}, []float64{-1, a - 1, b + 1} }},
		{`0, or at least (\S+)`, func(a, _ float64) { inside, outside = []float64{0, a, a + 1}, []float64{-1, a - 1} }},
		{`(\S+) to (\S+)`, func(a, b float64) { inside, outside = []float64{a, b}, []float64{a - 1, b + 1} }},
		{`more than (\S+)`, func(a, _ float64) { inside, outside = []float64{a + 1e-30, a + 1}, []float64{a, a - 1} }},
		{`at least (\S+)`, func(a, _ float64) { inside, outside = []float64{a, a + 1}, []float64{a - 1} }},
	}
	for _, f := range forms {
		if m := regexp.MustCompile("^" + f.form + "$").FindStringSubmatch(words); m != nil {
			b := 0.0
			if len(m) > 2 {
				b = number(m[2])
			}
			f.read(number(m[1]), b)
			return inside, outside
		}
	}
	t.Fatalf("the range %q has a form that this test does not know", words)
	return nil, nil
}

// numeric returns f, or a list that contains only f, as a value of l's field.
func numeric(l leaf, f float64) reflect.Value {
	switch {
	case l.typ == reflect.TypeFor[[]Weight]():
		return reflect.ValueOf([]Weight{Weight(fmt.Sprint(f))})
	case l.typ.Kind() == reflect.Slice:
		return reflect.Append(reflect.New(l.typ).Elem(), reflect.ValueOf(f).Convert(l.typ.Elem()))
	}
	return reflect.ValueOf(f).Convert(l.typ)
}

// TestAllowed compares the description of a key's values with what Validate accepts for the whole run file, so that no
// check of several keys contradicts the tags, and every allowed value is accepted in some run file.
func TestAllowed(t *testing.T) {
	for _, k := range Keys() {
		l := runFile.byName[k.Name]
		t.Run("key="+k.Name, func(t *testing.T) {
			// The checks of methods are made from the same tags, and add conditions of several keys.
			if k.Range != nil && !l.ofMethods() {
				inside, outside := bounds(t, k.Range.String())
				for _, f := range inside {
					if !accepts(t, l, numeric(l, f)) {
						t.Errorf("%g is refused, and the range is %s", f, k.Range)
					}
				}
				for _, f := range outside {
					if k.Unset != "" && f == 0 {
						continue // stands for a key that is not set; TestZero covers a 0 that is written
					}
					if accepts(t, l, numeric(l, f)) {
						t.Errorf("%g is accepted, and the range is %s", f, k.Range)
					}
				}
			}
			if l.typ.Kind() == reflect.String {
				refused := !accepts(t, l, reflect.Zero(l.typ))
				if want := k.Required || k.Values != nil && k.Default != ""; refused != want {
					t.Errorf("an empty value is refused: %t; want %t", refused, want)
				}
			}
			// Target modules are those of the model, which only train knows.
			if k.Values != nil && l.typ.Kind() == reflect.String {
				for _, word := range k.Values {
					if !accepts(t, l, reflect.ValueOf(word)) {
						t.Errorf("%q is refused, and the words are %q", word, k.Values)
					}
				}
				if accepts(t, l, reflect.ValueOf("nonsense")) {
					t.Error(`"nonsense" is accepted`)
				}
			}
			if what := missing(l, k); what != "" {
				t.Errorf("the key has no %s", what)
			}
			var n yaml.Node
			if err := yaml.Unmarshal([]byte(k.Example), &n); err != nil || len(n.Content) == 0 {
				t.Fatalf("the example is %q: %v", k.Example, err)
			}
			example := convert(n.Content[0], l.typ, func(_ *yaml.Node, element, what string) {
				t.Errorf("the example is %q: %s%s", k.Example, element, what)
			})
			if !accepts(t, l, example) {
				t.Errorf("the example %q is refused", k.Example)
			}
		})
	}
}

// freeText are the keys whose strings can be anything.
var freeText = []string{"data.text", "data.label", "data.labels", "data.separator"}

// missing returns what the description of a key lacks: every key has a type, a meaning, an example, and a default
// unless it is required or its default is an empty string. A number has a range, and a string has words, is a path, or
// is free text.
func missing(l leaf, k Key) string {
	element := l.typ
	if element.Kind() == reflect.Slice {
		element = element.Elem()
	}
	isText := element.Kind() == reflect.String && element != reflect.TypeFor[Weight]()
	switch {
	case k.Type == "":
		return "type"
	case k.Doc == "":
		return "meaning"
	case k.Default == "" && k.Unset == "" && !k.Required && l.typ.Kind() != reflect.String:
		return "default"
	case k.Example == "" || k.Example == `""`:
		return "example"
	case isText && k.Values == nil && !k.Path && !slices.Contains(freeText, k.Name):
		return "words"
	case !isText && k.Range == nil && element.Kind() != reflect.Bool && element.Kind() != reflect.Uint64:
		return "range"
	}
	return ""
}

// TestMissing: a key without type, meaning, default, example, range or words is found.
func TestMissing(t *testing.T) {
	whole := func(name string) (leaf, Key) {
		l := runFile.byName[name]
		return l, l.key(l.meanings[0])
	}
	for what, fault := range map[string]struct {
		key   string
		plant func(*Key)
	}{
		"type": {"seed", func(k *Key) { k.Type = "" }}, "meaning": {"seed", func(k *Key) { k.Doc = "" }},
		"default": {"seed", func(k *Key) { k.Default = "" }}, "example": {"data.label", func(k *Key) { k.Example = "" }},
		"words": {"optim.schedule", func(k *Key) { k.Values = nil }}, "range": {"optim.lr", func(k *Key) { k.Range = nil }},
	} {
		l, k := whole(fault.key)
		if got := missing(l, k); got != "" {
			t.Errorf("%s as it is: missing %s", fault.key, got)
		}
		if fault.plant(&k); missing(l, k) != what {
			t.Errorf("%s: missing %q; want %s", fault.key, missing(l, k), what)
		}
	}
}
