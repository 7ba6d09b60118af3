package dataset

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/nearest"
	"github.com/lor2c/lor2c/internal/place"
)

// oneOf returns a list of names to choose from, with the one that was probably
// meant.
func oneOf(got string, names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = place.Quote(name)
	}
	// A long list of labels would hide the message.
	if len(quoted) > 20 {
		quoted = append(quoted[:20], fmt.Sprintf("... (%d in all)", len(names)))
	}
	list := strings.Join(quoted, ", ")
	// Comparing long texts is slow, and a long text is not a misspelt name.
	const most = 256
	if len(got) > most || slices.ContainsFunc(names, func(name string) bool { return len(name) > most }) {
		return list
	}
	if name, near := nearest.Name(got, names); near && len(names) > 1 {
		list += fmt.Sprintf(" (nearest %s)", place.Quote(name))
	}
	return list
}
