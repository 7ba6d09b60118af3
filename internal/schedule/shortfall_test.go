package schedule

import (
	"fmt"
	"slices"
	"testing"
)

// TestShortfall compares with results by hand: with 4 layers two merges can use
// up all of them before the only injection, or at the same time.
func TestShortfall(t *testing.T) {
	for _, tt := range []struct {
		layers, epochs, merges, injects int
		want                            []int
	}{
		{12, 30, 3, 3, nil},    // after the last merge at least 12-6-2 are left
		{4, 4, 1, 1, nil},      // 4-2 = 2 are left
		{4, 8, 2, 2, []int{2}}, // 4-2-1 = 1 are left, and the second merge takes that one
		{5, 8, 2, 1, nil},
		{2, 8, 1, 1, []int{1}},
	} {
		t.Run(fmt.Sprintf("layers=%d/merges=%d/injects=%d", tt.layers, tt.merges, tt.injects), func(t *testing.T) {
			c := Default()
			c.MaxMerges, c.MaxInjects = tt.merges, tt.injects
			c.Resolve()
			s := New(c, Run{Epochs: tt.epochs, StepsPerEpoch: 10, Layers: tt.layers, Rank: 8})
			if got := s.Shortfall(); !slices.Equal(got, tt.want) {
				t.Errorf("injections %v may find no candidate; want %v (plan %+v)", got, tt.want, s.Plan())
			}
		})
	}
}
