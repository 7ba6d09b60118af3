package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/setting"
)

// JSONSchema returns a JSON schema (draft 2020-12) of a run file, with which
// editors complete and check YAML. It has the type, default, description and
// allowed values of every key, and refuses unknown keys. All its keywords have
// the same meaning in draft 7, which many editors use.
//
// The schema accepts some files that [Load] refuses. It does not require a key,
// because the environment or --set may set it. It does not compare keys with
// one another. It accepts 3.0 as an integer, because JSON has one kind of
// number. And it refuses linear layers in target_modules that no model has,
// which Load does not check. It also refuses
// two kinds of files that Load accepts: those that name one method and have keys of
// another that --set chooses, and those of older releases with all keys for every method.
func JSONSchema() []byte {
	root := jsonNode{
		Schema: "https://json-schema.org/draft/2020-12/schema",
		Title:  "Run file of lor2c",
	}
	sections := map[string]*jsonNode{"": &root}
	for _, l := range runFile.leaves {
		head, _, nested := strings.Cut(l.name, ".")
		if !nested {
			head = ""
		}
		if sections[head] == nil {
			// A section whose keys are all commented out is null.
			sections[head] = &jsonNode{Type: []string{"object", "null"}, AdditionalProperties: new(bool)}
			root.Properties = append(root.Properties, property{head, sections[head]})
		}
		section := sections[head]
		section.Properties = append(section.Properties, property{last(l.name), l.jsonNode()})
	}
	root.Type, root.AdditionalProperties = "object", new(bool)
	sections["method"].AllOf = keysOfMethods()

	text, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		panic(Bug{"schema", err.Error()})
	}
	return append(text, '\n')
}

// jsonNode is a JSON schema with the keywords that run files need.
type jsonNode struct {
	Schema               string      `json:"$schema,omitempty"`
	Title                string      `json:"title,omitempty"`
	Description          string      `json:"description,omitempty"`
	Type                 any         `json:"type,omitempty"` // a string, or a list of strings
	Const                any         `json:"const,omitempty"`
	Enum                 []string    `json:"enum,omitempty"`
	Pattern              string      `json:"pattern,omitempty"`
	MinLength            int         `json:"minLength,omitempty"`
	Minimum              any         `json:"minimum,omitempty"`
	ExclusiveMinimum     any         `json:"exclusiveMinimum,omitempty"`
	Maximum              any         `json:"maximum,omitempty"`
	ExclusiveMaximum     any         `json:"exclusiveMaximum,omitempty"`
	Items                *jsonNode   `json:"items,omitempty"`
	MaxItems             int         `json:"maxItems,omitempty"`
	AnyOf                []*jsonNode `json:"anyOf,omitempty"`
	AllOf                []*jsonNode `json:"allOf,omitempty"`
	If                   *jsonNode   `json:"if,omitempty"`
	Then                 *jsonNode   `json:"then,omitempty"`
	Required             []string    `json:"required,omitempty"`
	PropertyNames        *jsonNode   `json:"propertyNames,omitempty"`
	Not                  *jsonNode   `json:"not,omitempty"`
	Default              any         `json:"default,omitempty"`
	Examples             []any       `json:"examples,omitempty"`
	Properties           properties  `json:"properties,omitempty"`
	AdditionalProperties *bool       `json:"additionalProperties,omitempty"`
}

// keysOfMethods returns one schema for each method, which allows a section with its name to have its keys alone.
func keysOfMethods() (all []*jsonNode) {
	for _, name := range adapter.Names() {
		all = append(all, &jsonNode{
			If:   &jsonNode{Properties: properties{{"name", &jsonNode{Const: name}}}, Required: []string{"name"}},
			Then: &jsonNode{PropertyNames: &jsonNode{Enum: append([]string{"name"}, adapter.Keys(name)...)}},
		})
	}
	return all
}

// property is one key of an object. properties are its keys in the order in
// which editors offer them.
type (
	property struct {
		name string
		node *jsonNode
	}
	properties []property
)

// MarshalJSON writes p as an object.
func (p properties) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, one := range p {
		node, err := json.Marshal(one.node)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:%s", one.name, node)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// jsonNode returns the schema of the values of l. Where the key means different things for different methods, the
// schema accepts what is right for any of them.
func (l leaf) jsonNode() *jsonNode {
	var n *jsonNode
	var about []string
	for _, m := range l.meanings {
		k := l.key(m)
		one := valueNode(l.typ, &k)
		switch {
		case n == nil:
			n = one
		case !reflect.DeepEqual(n, one):
			n = &jsonNode{AnyOf: []*jsonNode{n, one}}
		}
		text := k.Doc
		if k.Range != nil {
			text += " (" + k.Range.String() + ")"
		}
		if k.Unset != "" {
			text += ", by default " + k.Unset
		}
		if k.Methods != nil {
			text += "; for " + strings.Join(k.Methods, ", ")
		}
		about = append(about, text)
	}
	if l.nullable() {
		n = &jsonNode{AnyOf: []*jsonNode{n, {Type: "null"}}}
	}
	n.Description = strings.Join(about, ". ")
	if k := l.key(l.meanings[0]); len(l.meanings) == 1 {
		if k.Default != "" {
			n.Default = jsonValue(k.Default)
		}
		if k.Example != k.Default {
			n.Examples = []any{jsonValue(k.Example)}
		}
	}
	return n
}

// valueNode returns the schema of a value of type t, or of a list of them.
func valueNode(t reflect.Type, k *Key) *jsonNode {
	switch {
	case t == source:
		return &jsonNode{AnyOf: []*jsonNode{pathNode(k), numberNode("number", &fraction), numberNode("integer", &rows)}}
	case t == reflect.TypeFor[[]Weight]():
		balanced := &jsonNode{Const: Balanced}
		return &jsonNode{AnyOf: []*jsonNode{
			balanced,
			{Type: "array", Items: balanced, MaxItems: 1},
			{Type: "array", Items: numberNode("number", k.Range)},
		}}
	case t.Kind() == reflect.Slice:
		element := valueNode(t.Elem(), k)
		return &jsonNode{AnyOf: []*jsonNode{element, {Type: "array", Items: element}}}
	case k.Path:
		return pathNode(k)
	case k.Values != nil:
		n := &jsonNode{Type: "string", Enum: k.Values}
		if k.Default == "" && !k.Required {
			n.Enum = append([]string{""}, k.Values...)
		}
		return n
	}
	switch t.Kind() {
	case reflect.Bool:
		return &jsonNode{Type: "boolean"}
	case reflect.Int:
		return numberNode("integer", k.Range)
	case reflect.Uint64:
		return &jsonNode{Type: "integer", Minimum: 0, Maximum: ^uint64(0)}
	case reflect.Float64:
		return numberNode("number", k.Range)
	}
	return &jsonNode{Type: "string"}
}

// pathNode returns the schema of a path. Like CheckPath, it refuses expressions
// that only a shell expands.
func pathNode(k *Key) *jsonNode {
	n := &jsonNode{Type: "string", Not: &jsonNode{Pattern: `^~|\$[A-Za-z0-9_{(]`}}
	if k.Required {
		n.MinLength = 1
	}
	return n
}

// numberNode returns the schema of the numbers in r, or of all numbers if r is
// nil.
func numberNode(kind string, r *setting.Range) *jsonNode {
	n := &jsonNode{Type: kind}
	if r == nil {
		return n
	}
	if r.Above {
		n.ExclusiveMinimum = r.Least
	} else {
		n.Minimum = r.Least
	}
	if r.Below {
		n.ExclusiveMaximum = r.Most
	} else if !math.IsInf(r.Most, 1) {
		n.Maximum = r.Most
	}
	if r.Zero {
		return &jsonNode{Type: kind, AnyOf: []*jsonNode{{Const: 0}, {Minimum: n.Minimum, Maximum: n.Maximum}}}
	}
	return n
}

// jsonValue returns a value, given as YAML, in the form in which encoding/json
// writes it.
func jsonValue(text string) (v any) {
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		panic(Bug{"schema", err.Error()})
	}
	return v
}
