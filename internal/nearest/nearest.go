// Package nearest suggests the right name for a misspelt one.
package nearest

import (
	"math"
	"strings"

	"github.com/agnivade/levenshtein"
)

// Name returns the element of names with the smallest Levenshtein distance to
// got, ignoring case. If several are equally near, it returns the first. near
// reports whether the name is so close that it was probably meant.
func Name(got string, names []string) (name string, near bool) {
	distance := math.MaxInt
	for _, n := range names {
		if d := levenshtein.ComputeDistance(strings.ToLower(got), strings.ToLower(n)); d < distance {
			name, distance = n, d
		}
	}
	// If more than half of the letters are wrong, got is probably another word.
	// With a bound of half, "tset" still finds "test".
	return name, distance <= len(name)/2
}
