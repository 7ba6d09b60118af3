// Package identity says what a run was made from: the content of its data, of
// the base model and of the tokenizer, and the settings that bear on the
// outcome. Every checkpoint and adapter directory holds it in one file, and
// whatever continues, evaluates or reports on such a directory compares it with
// what is there now.
//
// Content is compared, not names: a data file may move, be spelt in another way
// or be converted from CSV to TSV, as long as the same examples are read from it.
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
// part is not known, as of a directory that an older lor2c wrote, and is not
// compared.
type Manifest struct {
	Format int  `json:"format"`
	Base   Base `json:"base"`
	// Labels are the classes in the order of the head's outputs. An empty list
	// means regression; nil that the labels are not known.
	Labels []string `json:"labels"`
	// Data is what was read of each split, by the split's name.
	Data map[string]Split `json:"data"`
	// Settings are the resolved keys of the run file that bear on the outcome,
	// with their values as YAML.
	Settings map[string]string `json:"settings"`
}

// Base is the content of a base model's directory, as far as it is used.
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

// Difference is one part that is not what it was.
type Difference struct {
	Name string
	Was  string // in the run or adapter
	Now  string
	Base bool // the part belongs to the base model
}

// String returns the difference from a run as one line.
func (d Difference) String() string { return d.from("run") }

func (d Difference) from(what string) string {
	return fmt.Sprintf("%s: %s in the %s, %s now", d.Name, d.Was, what, d.Now)
}

// Write writes m into dir, which a checksum manifest is still to seal.
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

// Compare lists the parts of was that now does not equal: first those of the
// base model, then labels, data and settings, each group by name. Parts that was
// does not know are left out.
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
	each(was.Settings, now.Settings, func(key, w, n string) { add(false, key, w, n) })
	return differences
}

// Unchecked names the parts that m does not know.
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

// each calls f with the values of every key of was, in order of the keys. A key
// that only now has came into being after the run, and is not known of it.
func each(was, now map[string]string, f func(key, was, now string)) {
	for _, key := range slices.Sorted(maps.Keys(was)) {
		f(key, was[key], cmp.Or(now[key], "not known"))
	}
}

// labels returns how two lists of classes differ: by the first class that does,
// so that a long list stays readable.
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

// digest shortens a hash to what tells two apart.
func digest(sum string) string { return "SHA-256 " + cmp.Or(sum[:min(len(sum), 12)], "unknown") }

// String returns the size and the beginning of the hash.
func (s Split) String() string {
	if s.SHA256 == "" {
		return "no such split"
	}
	return fmt.Sprintf("%d examples, %s", s.Examples, digest(s.SHA256))
}

// List joins differences, one a line, under a headline; from is what they are
// differences from, a run or an adapter.
func List(headline, from string, differences []Difference) string {
	lines := []string{headline}
	for _, d := range differences {
		lines = append(lines, "  "+d.from(from))
	}
	return strings.Join(lines, "\n")
}
