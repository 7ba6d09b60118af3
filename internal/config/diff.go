package config

import (
	"fmt"
	"reflect"

	"go.yaml.in/yaml/v3"
)

// harmless are the keys that may change between two parts of one run, each with
// the reason.
var harmless = map[string]string{
	"out":                    "where a run is written changes nothing in it",
	"data.test":              "training does not read the test split",
	"train.log_every":        "decides which losses are logged, not which are computed",
	"train.save_every":       "decides when the state is saved, not what it is",
	"train.keep_checkpoints": "decides which saved states stay",
	"paths":                  "decides how paths are written, not where they lead",
}

// content are the keys that name what a run is made from. Their values are
// spelling; what is compared in their place is said with each.
var content = map[string]string{
	"model":        "weights, tokenizer and config.json, as they were read",
	"init_adapter": "the tensors that were read",
	"data.dir":     "the examples that were read",
	"data.train":   "the examples that were read",
	"data.dev":     "the examples that were read",
	"data.text":    "the examples that were read",
	"data.label":   "the examples that were read",
	"data.kind":    "the labels: regression has none",
	"data.labels":  "the labels in the order of the head's outputs",
}

// Settings returns the keys of c, as Resolve leaves them, that a continued run
// must have as it began, with their values as YAML: all but those that are
// harmless and those whose content is compared instead.
func (c *Config) Settings() map[string]string {
	resolved := *c
	resolved.Resolve()
	settings := map[string]string{}
	for _, l := range runFile.leaves {
		if harmless[l.name] == "" && content[l.name] == "" {
			settings[l.name] = inline(reflect.ValueOf(resolved).FieldByIndex(l.index).Interface())
		}
	}
	return settings
}

// Differences lists the keys in which two run files differ, harmless ones left
// out, one line a key in the order of Keys, as in "train.epochs: 10 in the run,
// 5 now". Both are compared as Resolve leaves them, paths as text: it is for a
// reader who sets two runs side by side. What keeps one from continuing the
// other is [Config.Settings] and the content of what is named.
func Differences(a, b *Config) (differences []string) {
	run, now := *a, *b
	run.Resolve()
	now.Resolve()
	for _, l := range runFile.leaves {
		if harmless[l.name] != "" {
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
