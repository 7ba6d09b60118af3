// Package nearest suggests the name that was probably meant by a wrong one.
package nearest

import (
	"math"
	"strings"

	"github.com/agnivade/levenshtein"
)

// Name returns the element of names with the smallest Levenshtein distance to
// got, regardless of case; if several are equally near, the first. near reports
// whether it is close enough to have been meant.
func Name(got string, names []string) (name string, near bool) {
	distance := math.MaxInt
	for _, n := range names {
		if d := levenshtein.ComputeDistance(strings.ToLower(got), strings.ToLower(n)); d < distance {
			name, distance = n, d
		}
	}
	// If more than half of the letters are wrong, it is another word and not a
	// slip. The bound of half still lets "tset" find "test".
	return name, distance <= len(name)/2
}
