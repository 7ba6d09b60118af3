package config

import (
	"fmt"
	"reflect"

	"go.yaml.in/yaml/v3"
)

// harmless are the keys that may change between two parts of one run: none of
// them reaches the weights, the metrics or the contents of a checkpoint.
var harmless = map[string]bool{"out": true, "train.log_every": true, "train.keep_checkpoints": true}

// Differences lists what keeps b from continuing a's run, one line a key in the
// order of Keys, as in "train.epochs: 3 in the run, 5 now". Both are compared as
// Resolve leaves them; paths are compared as text.
func Differences(a, b *Config) (differences []string) {
	run, now := *a, *b
	run.Resolve()
	now.Resolve()
	for _, l := range runFile.leaves {
		if harmless[l.name] {
			continue
		}
		x := reflect.ValueOf(run).FieldByIndex(l.index).Interface()
		y := reflect.ValueOf(now).FieldByIndex(l.index).Interface()
		if was, is := inline(x), inline(y); was != is {
			differences = append(differences, fmt.Sprintf("%s: %s in the run, %s now", l.name, was, is))
		}
	}
	return differences
}

// inline returns v as one line of YAML, as a user would write it after a key.
func inline(v any) string {
	var n yaml.Node
	if err := n.Encode(v); err != nil {
		panic(Bug{"encode", err.Error()})
	}
	// The encoder picks a block for lists and may fold long text over lines.
	switch {
	case n.Kind == yaml.SequenceNode:
		n.Style = yaml.FlowStyle
	case n.Value == "" && n.ShortTag() == "!!str":
		return `""`
	case n.ShortTag() == "!!str":
		return printable(n.Value)
	}
	text, err := yaml.Marshal(&n)
	if err != nil {
		panic(Bug{"encode", err.Error()})
	}
	return string(text[:len(text)-1])
}
