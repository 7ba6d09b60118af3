// Package identity records what a run was made from: the content of its data,
// of the base model and of the tokenizer, and the settings that affect the
// outcome. Every checkpoint and adapter directory contains the record in one
// file. Commands that continue, evaluate or report on such a directory compare
// it with the present files and settings.
//
// The content is compared, not the names: a data file may be moved, be given by
// another path or be converted from CSV to TSV, as long as the same examples
// are read from it.
package identity

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/place"
)

// File is the name of the manifest in a checkpoint or adapter directory.
const File = "identity.json"

// format is the version of the file's layout.
const format = 1

// Manifest is what a run was made from. The zero value of a part means that the
// part is not known, for example because an older lor2c wrote the directory.
// Such a part is not compared.
type Manifest struct {
	Format int  `json:"format"`
	Base   Base `json:"base"`
	// Labels are the classes in the order of the head's outputs. An empty list
	// means regression, and nil means that the labels are not known.
	Labels []string `json:"labels"`
	// Data is the content of each split, by the name of the split.
	Data map[string]Split `json:"data"`
	// Settings are the resolved keys of the run file that affect the outcome,
	// with their values as YAML.
	Settings map[string]string `json:"settings"`
}

// Base is the content of the files of a base model that are used.
type Base struct {
	Weights   string            `json:"weights_sha256"`
	Tokenizer string            `json:"tokenizer_sha256"`
	Config    map[string]string `json:"config"` // of config.json, values as JSON
}

// Split is the content of one split.
type Split struct {
	Examples int    `json:"examples"`
	SHA256   string `json:"sha256"` // of texts and labels, as they were read
}

// Difference is a part or a setting that differs between two manifests or run
// files.
type Difference struct {
	Name string
	Was  string // in the run, adapter or output of before
	Now  string
	Base bool // the part belongs to the base model
}

// from returns the difference as one line, in which Was is the value in what.
func (d Difference) from(what string) string {
	return fmt.Sprintf("%s: %s in the %s, %s now", d.Name, d.Was, what, d.Now)
}

// Write writes m into dir, before the checksum manifest of dir is written.
func (m Manifest) Write(dir string) error {
	m.Format = format
	text, err := json.MarshalIndent(m, "", "  ")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, File), append(text, '\n'), 0o666)
	}
	if err != nil {
		return fmt.Errorf("identity: write %s: %w", filepath.Join(dir, File), err)
	}
	return nil
}

// Compare returns the differences between was and now: first those of the base
// model, then labels, data and settings, each group by name. It leaves out
// parts that are not known in was.
func Compare(was, now Manifest) (differences []Difference) {
	add := func(base bool, name, w, n string) {
		if w != n {
			differences = append(differences, Difference{name, w, n, base})
		}
	}
	if was.Base.Weights != "" {
		add(true, "weights", digest(was.Base.Weights), digest(now.Base.Weights))
	}
	if was.Base.Tokenizer != "" {
		add(true, "tokenizer", digest(was.Base.Tokenizer), digest(now.Base.Tokenizer))
	}
	each(was.Base.Config, now.Base.Config, func(key, w, n string) { add(true, "config.json: "+key, w, n) })
	if was.Labels != nil {
		if d, differ := labels(was.Labels, now.Labels); differ {
			differences = append(differences, d)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(was.Data)) {
		add(false, "data "+name, was.Data[name].String(), now.Data[name].String())
	}
	each(was.Settings, now.Settings, func(key, w, n string) {
		// Older releases recorded every key of the method section for every method. Those that the method does not
		// take had no effect, and a difference of methods is one of method.name.
		if _, takes := now.Settings[key]; takes || !strings.HasPrefix(key, "method.") {
			add(false, key, w, n)
		}
	})
	return differences
}

// CompareMaps returns the differences between two maps, by key. Values are quoted, and a key that one of the maps does
// not have is "not set" there.
func CompareMaps(was, now map[string]string) (differences []Difference) {
	value := func(m map[string]string, key string) string {
		if v, ok := m[key]; ok {
			return place.Quote(v)
		}
		return "not set"
	}
	keys := map[string]string{}
	maps.Copy(keys, was)
	maps.Copy(keys, now)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if w, n := value(was, key), value(now, key); w != n {
			differences = append(differences, Difference{Name: key, Was: w, Now: n})
		}
	}
	return differences
}

// Unchecked returns the names of the parts that are not known in m.
func (m Manifest) Unchecked() (parts []string) {
	for _, p := range []struct {
		name  string
		known bool
	}{
		{"weights", m.Base.Weights != ""}, {"tokenizer", m.Base.Tokenizer != ""}, {"config.json", m.Base.Config != nil},
		{"labels", m.Labels != nil}, {"data", m.Data != nil}, {"settings", m.Settings != nil},
	} {
		if !p.known {
			parts = append(parts, p.name)
		}
	}
	return parts
}

// each calls f with the values of every key of was, in order of the keys. It
// leaves out keys that only now has, because they did not exist when the run
// was made.
func each(was, now map[string]string, f func(key, was, now string)) {
	for _, key := range slices.Sorted(maps.Keys(was)) {
		f(key, was[key], cmp.Or(now[key], "not known"))
	}
}

// labels returns the difference between two lists of classes, which is the
// first class that differs, so that a long list stays readable. ok is false if
// they are equal.
func labels(was, now []string) (Difference, bool) {
	count := func(l []string) string {
		if len(l) == 0 {
			return "none (regression)"
		}
		return fmt.Sprintf("%d classes", len(l))
	}
	if len(was) != len(now) {
		return Difference{"labels", count(was), count(now), false}, true
	}
	for i := range was {
		if was[i] != now[i] {
			return Difference{fmt.Sprintf("label of class %d", i), place.Quote(was[i]), place.Quote(now[i]), false}, true
		}
	}
	return Difference{}, false
}

// digest returns the start of a hash, which is enough to distinguish two.
func digest(sum string) string { return "SHA-256 " + cmp.Or(sum[:min(len(sum), 12)], "unknown") }

// String returns the number of examples and the start of the hash.
func (s Split) String() string {
	if s.SHA256 == "" {
		return "no such split"
	}
	return place.Count(s.Examples, "example", "examples") + ", " + digest(s.SHA256)
}

// List returns differences, one per line, below a headline. from says where
// Was is the value: in a "run", for example.
func List(headline, from string, differences []Difference) string {
	lines := []string{headline}
	for _, d := range differences {
		lines = append(lines, "  "+d.from(from))
	}
	return strings.Join(lines, "\n")
}
