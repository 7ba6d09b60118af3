package dataset

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/lor2c/lor2c/internal/place"
)

// labelSet returns the labels that are in use, sorted by value if all of them
// are integers and by byte order otherwise.
func labelSet(path string, seen map[string]use) ([]string, error) {
	labels := slices.Sorted(maps.Keys(seen))
	for _, label := range labels {
		if err := checkLabel(label); err != nil {
			return nil, fmt.Errorf("dataset: read %s:%d: %w", path, seen[label].line, err)
		}
	}
	if len(labels) < 2 {
		return nil, fmt.Errorf("dataset: read labels of %s: %s (%s); want at least two, or the whole "+
			"list in data.labels", path,
			place.Count(len(labels), "different label", "different labels"), place.List(labels))
	}
	// Scores that are read as classes by mistake would give a head with
	// thousands of outputs.
	const most = 1000
	if len(labels) > most {
		return nil, fmt.Errorf("dataset: read labels of %s: %d different labels; want at most %d, the list in "+
			"data.labels, or data.kind: regression", path, len(labels), most)
	}
	value := map[string]int{}
	for _, label := range labels {
		v, err := strconv.Atoi(label)
		if err != nil {
			return labels, nil
		}
		value[label] = v
	}
	slices.SortStableFunc(labels, func(a, b string) int { return cmp.Compare(value[a], value[b]) })
	return labels, nil
}
