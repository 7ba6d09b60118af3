package dataset

import (
	"fmt"
	"strings"

	"github.com/lor2c/lor2c/internal/nearest"
)

// oneOf lists the names a user may choose from and points out the one that was
// probably meant.
func oneOf(got string, names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = fmt.Sprintf("%q", name)
	}
	// A long list of labels would bury the message.
	if len(quoted) > 20 {
		quoted = append(quoted[:20], fmt.Sprintf("... (%d in all)", len(names)))
	}
	list := strings.Join(quoted, ", ")
	if name, near := nearest.Name(got, names); near && len(names) > 1 {
		list += fmt.Sprintf(" (nearest %q)", name)
	}
	return list
}
