package watch

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/runlog"
	"github.com/lor2c/lor2c/internal/terminal"
)

// drawing is a frame as it is drawn.
type drawing struct {
	t     terminal.Terminal
	width int
	lines []string
}

// text adds a text that is wrapped.
func (f *drawing) text(style terminal.Style, text string) {
	for _, row := range terminal.Wrap(text, f.width, 2) {
		f.lines = append(f.lines, f.t.Paint(style, cut(row, f.width)))
	}
}

// row adds a name and a text, which is wrapped below itself. Without a text it adds nothing.
func (f *drawing) row(name, text string) {
	if text == "" {
		return
	}
	for i, row := range terminal.Wrap(text, f.width-nameCells, 0) {
		if i > 0 {
			name = ""
		}
		f.lines = append(f.lines, f.t.Paint(terminal.Heading, padded(name, nameCells))+cut(row, f.width-nameCells))
	}
}

// plot returns the number of cells of a curve.
func (f *drawing) plot() int { return f.width - nameCells - numberCells - 1 }

// line adds a name, a number and the row of a curve, which have no room in a narrow terminal.
func (f *drawing) line(name, number, curve string) {
	left := f.t.Paint(terminal.Heading, padded(name, nameCells))
	f.lines = append(f.lines, strings.TrimRight(left+fmt.Sprintf("%*s %s", numberCells, number, curve), " "))
}

// curve adds the last value of something and its curve over the steps.
func (f *drawing) curve(name, format string, train []runlog.Train, axis int, value func(runlog.Train) float64) {
	if len(train) == 0 {
		return
	}
	var points []point
	for _, r := range train {
		points = append(points, point{r.Step, value(r)})
	}
	f.line(name, fmt.Sprintf(format, points[len(points)-1].value), spark(points, axis, f.plot()))
}

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

// padded fills a text up to a number of cells.
func padded(text string, cells int) string {
	return text + strings.Repeat(" ", max(0, cells-terminal.Cells(text)))
}

// cut shortens a text to at most some cells.
func cut(text string, cells int) string {
	if terminal.Cells(text) <= cells {
		return text
	}
	runes := []rune(text)
	for len(runes) > 0 && terminal.Cells(string(runes))+1 > cells {
		runes = runes[:len(runes)-1]
	}
	return string(runes) + "…"
}
