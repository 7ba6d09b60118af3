package dataset

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/nearest"
	"github.com/lor2c/lor2c/internal/place"
)

// oneOf lists the names a user may choose from and points out the one that was
// probably meant.
func oneOf(got string, names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = place.Quote(name)
	}
	// A long list of labels would bury the message.
	if len(quoted) > 20 {
		quoted = append(quoted[:20], fmt.Sprintf("... (%d in all)", len(names)))
	}
	list := strings.Join(quoted, ", ")
	// Comparing long texts takes long, and none of them is a slip of the pen.
	const most = 256
	if len(got) > most || slices.ContainsFunc(names, func(name string) bool { return len(name) > most }) {
		return list
	}
	if name, near := nearest.Name(got, names); near && len(names) > 1 {
		list += fmt.Sprintf(" (nearest %s)", place.Quote(name))
	}
	return list
}
