package config

import (
	"math"
	"reflect"

	"github.com/lor2c/lor2c/internal/setting"
)

// Key describes one key of a run file.
type Key struct {
	Name     string         // "optim.lr"
	Env      string         // the variable that sets it, "LOR2C_OPTIM_LR"
	Type     string         // what its value is, in words
	Default  string         // as YAML; "" for an empty string, and for a key with Unset
	Unset    string         // what holds where the key is not set, in words; "" if the key has a default
	Doc      string         // half a sentence, without a full stop
	Range    *setting.Range // the numbers that are allowed, or can be in a list; nil where any is
	Values   []string       // the words that are allowed, or can be in a list; nil where any is
	Example  string         // as YAML
	Path     bool           // names a file or a folder
	Required bool           // has no default, and a run needs a value
	Methods  []string       // the methods that take the key, if it depends on the method; nil if it does not
}

// Keys returns every key in the order of a run file. A key that several methods take is in it once for each meaning or
// default that it has.
func Keys() (keys []Key) {
	for _, l := range runFile.leaves {
		for _, m := range l.meanings {
			keys = append(keys, l.key(m))
		}
	}
	return keys
}

// fraction and rows are what a number as the value of data.dev can be.
var (
	fraction = setting.Range{Least: 0, Most: 1, Above: true, Below: true}
	rows     = setting.Range{Least: 1, Most: math.Inf(1)}
)

func (l leaf) key(m meaning) Key {
	k := Key{
		Name: l.name, Env: l.env(), Type: want(l.typ), Doc: m.Doc, Example: m.Example, Range: m.Range, Values: m.Values,
		Path: m.Path, Required: m.Required, Methods: m.methods, Default: inline(m.initial), Unset: m.Unset,
	}
	if k.Unset != "" || l.typ.Kind() == reflect.String && k.Default == `""` {
		k.Default = ""
	}
	if k.Path {
		k.Type = "a path"
	}
	if l.typ == source {
		k.Type = "a path, or a number " + fraction.String()
	}
	if k.Example == "" && k.Values != nil {
		k.Example = k.Values[0]
	}
	if k.Example == "" {
		k.Example = k.Default
	}
	return k
}
