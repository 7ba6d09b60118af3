package dataset

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// labelSet is the sorted set of the labels in rows: by value if all of them are
// integers, else by byte order.
func labelSet(path string, rows []row) ([]string, error) {
	seen := map[string]bool{}
	for _, r := range rows {
		if r.hasLabel {
			seen[r.label] = true
		}
	}
	labels := slices.Sorted(maps.Keys(seen))
	if len(labels) < 2 {
		return nil, fmt.Errorf("dataset: read labels of %s: %d different labels %q; want at least two, or the whole list in data.labels", path, len(labels), labels)
	}
	// Scores read as classes by mistake would make a head of thousands of outputs.
	const most = 1000
	if len(labels) > most {
		return nil, fmt.Errorf("dataset: read labels of %s: %d different labels; want at most %d, the list in data.labels, or data.kind: regression", path, len(labels), most)
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
