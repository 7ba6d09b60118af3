package dataset

import (
	"fmt"
	"testing"
)

// TestParts: parts keep the order and the limits, and an example that is longer than a part may be is one of its own.
func TestParts(t *testing.T) {
	e := &Encoded{Cu: []int64{0}}
	for _, n := range []int64{5, 5, 11, 1, 2, 3, 4} {
		e.Cu = append(e.Cu, e.Cu[len(e.Cu)-1]+n)
	}
	for _, c := range []struct {
		indices      []int32
		size, tokens int
		want         string
	}{
		{[]int32{0, 1, 2, 3, 4, 5, 6}, 100, 10, "[[0 1] [2] [3 4 5 6]]"},
		{[]int32{0, 1, 2, 3, 4, 5, 6}, 2, 10, "[[0 1] [2] [3 4] [5 6]]"},
		{[]int32{0, 1, 2, 3, 4, 5, 6}, 3, 0, "[[0 1 2] [3 4 5] [6]]"},
		{[]int32{2, 0, 2}, 3, 1, "[[2] [0] [2]]"},
		{nil, 3, 10, "[]"},
	} {
		if got := fmt.Sprint(e.Parts(c.indices, c.size, c.tokens)); got != c.want {
			t.Errorf("%v in parts of %d examples and %d tokens is %s; want %s", c.indices, c.size, c.tokens, got, c.want)
		}
	}
}
