package report

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/identity"
	"github.com/lor2c/lor2c/internal/place"
)

// Comparison compares runs with the first of them.
type Comparison struct {
	With []Pair `json:"with"`
}

// Pair is how a run differs from the first.
type Pair struct {
	First string `json:"first"`
	Other string `json:"other"`
	// Configuration lists the differences of what the runs were made from: the
	// content of their files, then the keys of their run files.
	Configuration []Difference `json:"configuration"`
	// Divergence lists the first unequal record of each kind, the earliest
	// first. It is empty if the logs are equal.
	Divergence []Divergence `json:"divergence"`
}

// Difference is a part or a key that differs between two runs.
type Difference struct {
	Key   string `json:"key"`
	First string `json:"first"`
	Other string `json:"other"`
}

// Divergence is a record that differs between two runs, or that one of them
// lacks.
type Divergence struct {
	Kind  string `json:"kind"`
	Step  int    `json:"step"`
	Line  int    `json:"line"`  // of the first run's metrics.jsonl, or the other's if the first has none
	Field string `json:"field"` // the first field that differs; "" if a run has no such record
	First string `json:"first"` // JSON of the field, or that there is no record
	Other string `json:"other"`
}

// These are the texts of HTML and Markdown that explain or replace the tables
// of a pair.
const (
	correlationText = "With fewer than about ten candidates a rank correlation says little, and the candidates share " +
		"modules: p, the share of orders that correlate as strongly by chance, is too small and is given only to show how " +
		"little a few points prove."
	sameConfiguration = "No key that bears on the outcome differs."
	sameLogs          = "The logs are equal, record by record."
	divergenceText    = "The first unequal record of each kind, the earliest at the top."
)

func compare(runs []*Run) *Comparison {
	c := &Comparison{}
	for _, other := range runs[1:] {
		c.With = append(c.With,
			Pair{runs[0].Name, other.Name, differences(runs[0], other), divergence(runs[0].lines, other.lines)})
	}
	return c
}

// differences lists how two runs differ: in the content of base model, labels and
// data, where both runs recorded it, and in the keys of their run files.
func differences(a, b *Run) []Difference {
	parts := []identity.Difference{}
	if a.made != nil && b.made != nil {
		was := *a.made
		was.Settings = nil // the run files have them, in a more useful order
		parts = identity.Compare(was, *b.made)
	}
	all := []Difference{}
	for _, d := range append(parts, config.Differences(a.config, b.config)...) {
		all = append(all, Difference{d.Name, d.Was, d.Now})
	}
	return all
}

// entry is one line of metrics.jsonl.
type entry struct {
	line   int
	step   int
	fields []field
}

type field struct {
	name  string
	value any // numbers as json.Number
}

// divergence compares the logs kind by kind, so that one changed setting in the
// plan does not hide where the training itself starts to differ.
func divergence(a, b [][]byte) []Divergence {
	first, other := byKind(a), byKind(b)
	kinds := maps.Clone(first)
	maps.Copy(kinds, other)
	all := []Divergence{}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		if d, ok := parting(first[kind], other[kind]); ok {
			d.Kind = kind
			all = append(all, d)
		}
	}
	slices.SortStableFunc(all,
		func(x, y Divergence) int { return cmp.Or(cmp.Compare(x.Step, y.Step), cmp.Compare(x.Line, y.Line)) })
	return all
}

const absent = "no record"

func parting(a, b []entry) (Divergence, bool) {
	for i := range max(len(a), len(b)) {
		switch {
		case i >= len(b):
			return Divergence{Step: a[i].step, Line: a[i].line, First: "a record", Other: absent}, true
		case i >= len(a):
			return Divergence{Step: b[i].step, Line: b[i].line, First: absent, Other: "a record"}, true
		}
		for j := range max(len(a[i].fields), len(b[i].fields)) {
			x, y := at(a[i].fields, j), at(b[i].fields, j)
			if x.name != y.name {
				return Divergence{Step: min(a[i].step, b[i].step), Line: a[i].line, Field: x.name + " / " + y.name, First: x.text(),
					Other: y.text()}, true
			}
			if name, v, w, ok := unequal(x.name, x.value, y.value); ok {
				return Divergence{Step: min(a[i].step, b[i].step), Line: a[i].line, Field: name, First: v, Other: w}, true
			}
		}
	}
	return Divergence{}, false
}

// unequal returns the first place at which two values differ, as a path such as
// "modules[3].singular[0]", and the JSON of both values there. ok is false if
// they are equal.
func unequal(path string, a, b any) (where, x, y string, ok bool) {
	switch v := a.(type) {
	case []any:
		w, isList := b.([]any)
		if !isList || len(v) != len(w) {
			break
		}
		for i := range v {
			if where, x, y, ok = unequal(fmt.Sprintf("%s[%d]", path, i), v[i], w[i]); ok {
				return where, x, y, ok
			}
		}
		return "", "", "", false
	case map[string]any:
		w, isObject := b.(map[string]any)
		if !isObject || !slices.Equal(slices.Sorted(maps.Keys(v)), slices.Sorted(maps.Keys(w))) {
			break
		}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if where, x, y, ok = unequal(path+"."+name, v[name], w[name]); ok {
				return where, x, y, ok
			}
		}
		return "", "", "", false
	default:
		if a == b {
			return "", "", "", false
		}
	}
	return path, clip(a), clip(b), true
}

// at returns field j, or a field called none if there is no such field.
func at(fields []field, j int) field {
	if j < len(fields) {
		return fields[j]
	}
	return field{"none", nil}
}

func (f field) text() string { return clip(f.value) }

// clip returns v as JSON, or the number of entries of a list.
func clip(v any) string {
	if list, ok := v.([]any); ok {
		return place.Count(len(list), "entry", "entries")
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // it came from JSON
	}
	return string(b)
}

// byKind parses lines that ReadMetrics has accepted, and returns them by kind
// of record.
func byKind(lines [][]byte) map[string][]entry {
	kinds := map[string][]entry{}
	for n, line := range lines {
		d := json.NewDecoder(bytes.NewReader(line))
		d.UseNumber()
		d.Token() // the brace
		e, kind := entry{line: n + 1}, ""
		for d.More() {
			name, _ := d.Token()
			var value any
			d.Decode(&value)
			switch v := value.(type) {
			case string:
				if name == "kind" {
					kind = v
				}
			case json.Number:
				if name == "step" {
					e.step, _ = strconv.Atoi(v.String())
				}
			}
			e.fields = append(e.fields, field{name.(string), value})
		}
		kinds[kind] = append(kinds[kind], e)
	}
	return kinds
}
