package dataset

import (
	"fmt"
	"math"
	"strings"

	"github.com/agnivade/levenshtein"
)

// oneOf lists the names a user may choose from and points out the one that was
// probably meant.
func oneOf(got string, names []string) string {
	quoted := make([]string, len(names))
	best, distance := "", math.MaxInt
	for i, name := range names {
		quoted[i] = fmt.Sprintf("%q", name)
		if d := levenshtein.ComputeDistance(strings.ToLower(got), strings.ToLower(name)); d < distance {
			best, distance = name, d
		}
	}
	// A long list of labels would bury the message.
	if len(quoted) > 20 {
		quoted = append(quoted[:20], fmt.Sprintf("... (%d in all)", len(names)))
	}
	list := strings.Join(quoted, ", ")
	// More wrong letters than half make another word, not a slip; half still lets
	// "tset" find "test".
	if distance <= len(best)/2 && len(names) > 1 {
		list += fmt.Sprintf(" (nearest %q)", best)
	}
	return list
}
