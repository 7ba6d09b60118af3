package watch

import (
	"math"
	"slices"
	"strings"
)

// point is a value at a step.
type point struct {
	step  int
	value float64
}

// blocks are bars of one to eight eighths of a cell.
var blocks = []rune(" ▁▂▃▄▅▆▇█")

// columnsOf returns the mean of the values in each of a number of columns over the steps from 1 to last; NaN in columns
// without values.
func columnsOf(points []point, last, width int) []float64 {
	sums, counts := make([]float64, width), make([]int, width)
	for _, p := range points {
		if !math.IsNaN(p.value) && !math.IsInf(p.value, 0) {
			c := column(p.step, last, width)
			sums[c] += p.value
			counts[c]++
		}
	}
	for i := range sums {
		sums[i] /= float64(counts[i])
	}
	return sums
}

// column returns the column of a step, when the steps from 1 to last share width columns.
func column(step, last, width int) int {
	return min(max((step-1)*width/max(last, 1), 0), width-1)
}

// chart draws values by column as bars of a number of rows, from low at the bottom to high at the top. Between two
// columns with values it draws the earlier, so that a curve of few records has no holes.
func chart(values []float64, rows int, low, high float64) []string {
	lines := make([]strings.Builder, rows)
	end := len(values)
	for end > 0 && math.IsNaN(values[end-1]) {
		end--
	}
	level := 0
	for i, v := range values {
		if i >= end {
			level = 0
		} else if !math.IsNaN(v) {
			// The smallest value has a bar of one eighth, so that it is not taken for an absent one.
			level = 1
			if high > low {
				level += int(math.Round((v - low) / (high - low) * float64(8*rows-1)))
			}
		}
		for row := range rows {
			eighths := min(max(level-8*(rows-1-row), 0), 8)
			lines[row].WriteRune(blocks[eighths])
		}
	}
	texts := make([]string, rows)
	for i := range lines {
		texts[i] = strings.TrimRight(lines[i].String(), " ")
	}
	return texts
}

// limits returns the smallest and the largest of values that are not NaN, or two NaN.
func limits(values []float64) (low, high float64) {
	defined := slices.DeleteFunc(slices.Clone(values), math.IsNaN)
	if len(defined) == 0 {
		return math.NaN(), math.NaN()
	}
	return slices.Min(defined), slices.Max(defined)
}

// spark draws points as one row.
func spark(points []point, last, width int) string {
	if width < 1 {
		return ""
	}
	values := columnsOf(points, last, width)
	low, high := limits(values)
	return chart(values, 1, low, high)[0]
}
