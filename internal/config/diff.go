package config

import (
	"go.yaml.in/yaml/v3"

	"github.com/lor2c/lor2c/internal/identity"
)

// harmless are the keys that may change between two parts of one run, each with
// the reason.
var harmless = map[string]string{
	"out":                    "the output directory does not affect the content of a run",
	"data.test":              "training does not read the test split",
	"train.log_every":        "determines which losses are logged, not which are computed",
	"train.save_every":       "determines when the state is saved, not its content",
	"train.keep_checkpoints": "determines which saved states are kept",
	"paths":                  "determines how paths are written, not where they lead",
}

// content are the keys that name the inputs of a run. Their values are not
// compared as text. Each has a description of what is compared instead.
var content = map[string]string{
	"model":          "weights, tokenizer and config.json, as they were read",
	"init_adapter":   "the tensors that were read",
	"data.dir":       "the examples that were read",
	"data.train":     "the examples that were read",
	"data.dev":       "the examples that were read",
	"data.text":      "the examples that were read",
	"data.label":     "the examples that were read",
	"data.kind":      "the labels of the examples that were read; regression has none",
	"data.separator": "the examples that were read",
	"data.labels":    "the labels in the order of the head's outputs",
}

// Settings returns the keys of c, after Resolve, that must not change when a
// run is continued, with their values as YAML. It leaves out harmless keys and
// those whose content is compared instead.
func (c *Config) Settings() map[string]string {
	resolved := *c
	resolved.Resolve()
	settings := map[string]string{}
	for _, l := range runFile.leaves {
		if value, ok := l.get(&resolved); ok && harmless[l.name] == "" && content[l.name] == "" {
			settings[l.name] = inline(value.Interface())
		}
	}
	return settings
}

// Differences lists the keys whose values differ between two run files, in the order of Keys; keys that are harmless
// are left out, and so are those that only one of two methods takes. Was is the value in run and Now the one in now,
// both as YAML. Both run files are compared as Resolve leaves them, and paths as text: the list is for a reader who
// sets two runs side by side. Whether one run can continue another is decided by [Config.Settings] and the content of
// the files.
func Differences(run, now *Config) (differences []identity.Difference) {
	a, b := *run, *now
	a.Resolve()
	b.Resolve()
	for _, l := range runFile.leaves {
		if harmless[l.name] != "" {
			continue
		}
		was, both := l.get(&a)
		now, ok := l.get(&b)
		if !both || !ok {
			continue // of one of two methods
		}
		if x, y := inline(was.Interface()), inline(now.Interface()); x != y {
			differences = append(differences, identity.Difference{Name: l.name, Was: x, Now: y})
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
	// The encoder writes lists as blocks and may break long text into lines.
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
