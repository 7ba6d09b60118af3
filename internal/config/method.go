package config

import (
	"reflect"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/lor2c/lor2c/internal/adapter"
)

// ownKeys returns the method that the sources choose, and their settings without those of keys that it does not take.
// sources has the weakest first, each with its own settings in order.
//
// A key that the method does not take is a fault, with two exceptions. It may stand in a weaker source than the one
// that names the method, if the method that this source would choose takes it: then it was written for that method, and
// --set method.name=X alone chooses another. And it may stand in a file that a release wrote in which every method had
// every key.
func ownKeys(sources ...[]given) (method string, own [][]given, faults []*Fault) {
	method = adapter.Default().Name()
	chosen := make([]string, len(sources)) // by the sources up to each
	for i, source := range sources {
		for _, s := range source {
			if s.name == methodName {
				method = s.value.String()
			}
		}
		chosen[i] = method
	}
	for i, source := range sources {
		older := i == 0 && writtenByOlder(source)
		var kept []given
		for _, s := range source {
			key := last(s.name)
			takes := func(name string) bool { return adapter.NewConfig(name).Takes(key) }
			switch {
			case !s.ofMethods() || takes(method):
				if fault := s.zeroFault(method); fault != nil {
					faults = append(faults, fault)
				}
				kept = append(kept, s)
			case !slices.Contains(adapter.Names(), method):
				// Validate refuses the name.
			case slices.ContainsFunc(chosen[i:], takes), older && slices.Contains(adapter.OlderKeys, key):
			default:
				text := adapter.Belongs(method, key)
				if s.from.set == "" {
					text = s.name + ": " + text
				}
				faults = append(faults, &Fault{origin: s.from, text: text})
			}
		}
		own = append(own, kept)
	}
	return method, withDefaults(method, own), faults
}

// methodName is the key of the method's name.
const methodName = "method.name"

// withDefaults gives settings that are null the default that they have with the method.
func withDefaults(method string, sources [][]given) [][]given {
	c := Default()
	c.Method = adapter.NewConfig(method)
	for _, source := range sources {
		for i, s := range source {
			if !s.value.IsValid() {
				source[i].value, _ = s.get(&c)
			}
		}
	}
	return sources
}

// writtenByOlder reports whether a file has every key that older releases wrote into a run directory for any method.
func writtenByOlder(file []given) bool {
	for _, key := range adapter.OlderKeys {
		if !slices.ContainsFunc(file, func(s given) bool { return s.name == "method."+key }) {
			return false
		}
	}
	return true
}

// nullable reports whether the value of l may be null for the default. Keys without a number as their default can be
// set back in this way, and run files of older releases have it for the dropout of methods.
func (l leaf) nullable() bool {
	return l.name == "method.dropout" || l.name == "method.inject_dropout" || l.mayBeUnset()
}

// convert returns n as a value of l, which is invalid for a null that stands for the default. The null must be written
// out: a value that is missing, as that of a shell's variable that is not set, is a mistake.
func (l leaf) convert(n *yaml.Node, report func(n *yaml.Node, element, what string)) reflect.Value {
	if written := target(n); l.nullable() && isNull(written) && written.Value != "" {
		return reflect.Value{}
	}
	return convert(n, l.typ, report)
}
