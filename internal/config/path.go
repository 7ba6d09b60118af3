package config

import (
	"errors"
	"os"
	"regexp"
	"strings"
	"unicode"

	"github.com/lor2c/lor2c/internal/place"
)

// unexpanded matches what a shell replaces in a word: a home directory at the
// start, and variables and commands.
var unexpanded = regexp.MustCompile(`^~[^/]*|\$(?:\w+|\{[^}]*\}?|\()`)

// CheckPath returns an error for a path that a shell should have expanded but
// did not, because the path was in a file, in quotes or after an =. Otherwise a
// folder called ~ would be created, which is dangerous to delete. A name that
// does begin with ~ can be written as ./~name. The error begins with a verb;
// the caller puts the key or the flag before it.
//
// CheckPath also refuses control characters, which would break every line that
// contains the path.
func CheckPath(path string) error {
	if strings.ContainsFunc(path, unicode.IsControl) {
		return errors.New("is " + place.Quote(path) + ", which holds a control character; want a path of one line")
	}
	found := unexpanded.FindString(path)
	if found == "" {
		return nil
	}
	text := "holds " + place.Quote(found)
	if strings.HasPrefix(found, "~") {
		text = "begins with " + place.Quote(found)
	}
	text += ", which only a shell expands; want the path written out"
	if full := expand(path); unexpanded.FindString(full) == "" {
		text += ", such as " + place.Quote(full)
	}
	return errors.New(text)
}

// expand expands simple cases as a shell would.
func expand(path string) string {
	if rest, ok := strings.CutPrefix(path, "~"); ok && (rest == "" || rest[0] == '/') {
		if home, err := os.UserHomeDir(); err == nil {
			path = home + rest
		}
	}
	return os.Expand(path, func(name string) string {
		if value := os.Getenv(name); value != "" {
			return value
		}
		return "$" + name
	})
}

// pathFaults returns a fault for each path in settings that CheckPath refuses.
func pathFaults(settings []given) (faults []*Fault) {
	for _, s := range settings {
		if !s.leaf.path() {
			continue
		}
		if err := CheckPath(s.value.String()); err != nil {
			text := err.Error()
			if s.from.line > 0 {
				text = s.name + ": " + text
			}
			faults = append(faults, &Fault{origin: s.from, text: text})
		}
	}
	return faults
}
