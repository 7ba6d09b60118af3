package config

import (
	"cmp"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/lor2c/lor2c/internal/dataset"
	"github.com/lor2c/lor2c/internal/place"
)

// given is one value that a source gives, of exactly the field's type.
type given struct {
	leaf
	value reflect.Value
	from  origin
}

// walker reads the nodes of a run file. A decoder is not enough, because it
// stops at the first error and reports neither column nor key nor advice.
type walker struct {
	*schema
	file     string
	settings []given
	faults   []*Fault
}

func (w *walker) at(n *yaml.Node) origin {
	return origin{where: fmt.Sprintf("%s:%d:%d", w.file, n.Line, n.Column), line: n.Line, col: n.Column}
}

func (w *walker) fault(n *yaml.Node, format string, a ...any) {
	w.faults = append(w.faults, &Fault{origin: w.at(n), text: fmt.Sprintf(format, a...)})
}

// section reads node as the mapping called name; "" is the whole file. Faults
// are reported at key, where a user looks for the name.
func (w *walker) section(name string, key, node *yaml.Node) {
	node = target(node)
	if isNull(node) {
		return // a section with all of its keys commented out
	}
	if node.Kind != yaml.MappingNode {
		w.fault(key, "%sis %s; want a mapping with the keys %s", prefix(name), describe(node),
			place.List(w.sections[name]))
		return
	}
	seen := map[string]int{} // key -> line
	for i := 0; i < len(node.Content); i += 2 {
		key, value := node.Content[i], target(node.Content[i+1])
		k := target(key)
		if k.Kind != yaml.ScalarNode {
			w.fault(key, "%sa key is %s; want a plain word", prefix(name), describe(k))
			continue
		}
		path := join(name, printable(k.Value))
		// With merge keys a value could come from two places. Run files are too short
		// to need them.
		if k.ShortTag() == "!!merge" {
			w.fault(key, "%s: merge keys are not read; want the merged keys written out", path)
			continue
		}
		// The second value is read too, so that its own faults are reported at the
		// same time. With aliases this might never end.
		if first, again := seen[k.Value]; again {
			w.fault(key, "%s: is given twice, first in line %d; want it once", path, first)
			if len(w.faults) > maxFaults {
				continue
			}
		} else {
			seen[k.Value] = key.Line
		}
		w.entry(path, key, value, strings.Contains(k.Value, "."))
	}
}

// entry reads one key of a mapping. dotted means that the key itself contains a
// dot, so that its path looks like that of a key inside a section.
func (w *walker) entry(path string, key, value *yaml.Node, dotted bool) {
	l, known := w.byName[path]
	switch {
	case dotted && (known || w.sections[path] != nil):
		w.fault(key, "%s: is one key with a dot; want %s: indented under %s:", path, last(path), parent(path))
	case known:
		ok := true
		v := l.convert(value, func(n *yaml.Node, element, what string) {
			ok = false
			// The place is that of the key, for which a user searches, because a list
			// may span lines.
			at := key
			if element != "" {
				at = n
			}
			w.fault(at, "%s%s: %s", path, element, what)
		})
		if ok {
			w.settings = append(w.settings, given{l, v, w.at(key)})
		}
	case w.sections[path] != nil:
		w.section(path, key, value)
	default:
		mapping := value.Kind == yaml.MappingNode
		text := path + ": " + w.unknown(path, mapping || isNull(value), !mapping)
		w.faults = append(w.faults, &Fault{w.at(key), text, ErrUnknownKey})
	}
}

// convert returns n as a value of type t. It calls report for every fault, with
// the node and, in a list, "[i]".
func convert(n *yaml.Node, t reflect.Type, report func(n *yaml.Node, element, what string)) reflect.Value {
	n = target(n)
	v := reflect.New(t)
	switch {
	case leadingZero(n, t):
		report(n, "", "is "+printable(n.Value)+", which YAML reads as an octal number; want it without the leading zero")
	case otherBase(n, t):
		report(n, "", "is "+printable(n.Value)+", which is not a decimal number; want decimal digits")
	case t.Kind() == reflect.Slice && n.Kind == yaml.ScalarNode && fits(n, t.Elem()):
		if t.Elem().Kind() == reflect.Int {
			v.Elem().Set(reflect.Append(v.Elem(), convert(n, t.Elem(), report)))
			break
		}
		v.Elem().Set(reflect.Append(v.Elem(), reflect.ValueOf(n.Value).Convert(t.Elem())))
	case t.Kind() == reflect.Slice && n.Kind == yaml.SequenceNode:
		for i, c := range n.Content {
			e := convert(c, t.Elem(), func(_ *yaml.Node, _, what string) {
				report(c, fmt.Sprintf("[%d]", i), what)
			})
			v.Elem().Set(reflect.Append(v.Elem(), e))
		}
	case !fits(n, t) || n.Decode(v.Interface()) != nil:
		quote := ""
		if t.Kind() == reflect.String && n.Kind == yaml.ScalarNode && !isNull(n) {
			quote = ", so put it in quotes"
		}
		report(n, "", "is "+describe(n)+"; want "+want(t)+quote)
	case t.Kind() == reflect.Float64 && (math.IsInf(v.Elem().Float(), 0) || math.IsNaN(v.Elem().Float())):
		report(n, "", "is "+printable(n.Value)+"; want a finite number")
	}
	return v.Elem()
}

var zeroFirst = regexp.MustCompile(`^[-+]?0[0-9_]+$`)

// leadingZero reports whether n is a number such as 010, which YAML reads as 8
// and people read as 10.
func leadingZero(n *yaml.Node, t reflect.Type) bool {
	return isNumber(n, t) && zeroFirst.MatchString(n.Value)
}

var baseFirst = regexp.MustCompile(`^[-+]?0[xXoObB]`)

// otherBase reports whether n is a number such as 0x10 or 0b11. Such a setting
// is never intended, but an environment variable may contain one by mistake.
func otherBase(n *yaml.Node, t reflect.Type) bool {
	return isNumber(n, t) && baseFirst.MatchString(n.Value)
}

// isNumber reports whether n is written as a number and t is a type of numbers.
func isNumber(n *yaml.Node, t reflect.Type) bool {
	number := t.Kind() == reflect.Int || t.Kind() == reflect.Uint64 || t.Kind() == reflect.Float64
	return number && n.Kind == yaml.ScalarNode && n.ShortTag() != "!!str"
}

// source is the type of a path or a number.
var source = reflect.TypeFor[dataset.Source]()

// fits reports whether n is written as a value of type t. The decoder alone
// would accept 3.0 as an integer and 5 as a string.
func fits(n *yaml.Node, t reflect.Type) bool {
	if n.Kind != yaml.ScalarNode {
		return false
	}
	if t == reflect.TypeFor[Weight]() && (n.ShortTag() == "!!int" || n.ShortTag() == "!!float") {
		return true
	}
	switch n.ShortTag() {
	case "!!str":
		return t.Kind() == reflect.String
	case "!!bool":
		return t.Kind() == reflect.Bool
	case "!!int":
		return t == source || t.Kind() == reflect.Int || t.Kind() == reflect.Uint64 || t.Kind() == reflect.Float64
	case "!!float":
		return t == source || t.Kind() == reflect.Float64
	}
	return false
}

// describe describes n as a user wrote it.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	if isNull(n) {
		return "empty"
	}
	if n.ShortTag() == "!!str" {
		return place.Quote(n.Value) + ", a string"
	}
	kinds := map[string]string{"!!bool": "a boolean", "!!int": "an integer", "!!float": "a number",
		"!!timestamp": "a date"}
	return printable(n.Value) + ", " + cmp.Or(kinds[n.ShortTag()], "tagged "+printable(n.ShortTag()))
}

// target follows an alias. An alias cannot name another alias.
func target(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

func prefix(name string) string {
	if name == "" {
		return ""
	}
	return name + ": "
}

// printable returns s unchanged if a reader can see where it ends, and quoted
// otherwise.
func printable(s string) string {
	if quoted := place.Quote(s); s == "" || strings.ContainsAny(s, " :;\"'") || quoted != `"`+s+`"` {
		return quoted
	}
	return s
}

// cut shortens s for a fault, as place.Quote does, but without quotes.
func cut(s string) string {
	const longest = 60
	if r := []rune(s); len(r) > longest {
		s = string(r[:longest]) + "..."
	}
	return place.Escape(s)
}
