// Package nearest finds the name that was probably meant by one that does not
// exist.
package nearest

import (
	"math"
	"strings"

	"github.com/agnivade/levenshtein"
)

// Name returns the one of names that takes the fewest edits (Levenshtein
// distance, regardless of case) to make of got, the first of several, and
// whether it is near enough to have been meant.
func Name(got string, names []string) (name string, near bool) {
	distance := math.MaxInt
	for _, n := range names {
		if d := levenshtein.ComputeDistance(strings.ToLower(got), strings.ToLower(n)); d < distance {
			name, distance = n, d
		}
	}
	// More wrong letters than half make another word, not a slip; half still lets
	// "tset" find "test".
	return name, distance <= len(name)/2
}
