package terminal

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mattn/go-runewidth"
)

// Cells returns the number of terminal cells that a text without control
// sequences takes.
func Cells(text string) int { return runewidth.StringWidth(text) }

// Wrap breaks a line between words into rows of at most width cells. From the
// second row on, rows are indented by indent cells. A longer word has its own
// row and is not broken, so that a path can still be copied.
func Wrap(line string, width, indent int) (rows []string) {
	if indent >= width/2 {
		indent = 0
	}
	row, used, started := "", 0, false
	for word := range strings.SplitSeq(line, " ") {
		cells := Cells(word)
		if used > 0 && used+1+cells > width && strings.TrimSpace(row) != "" {
			rows = append(rows, row)
			row, used = strings.Repeat(" ", indent)+word, indent+cells
			continue
		}
		if started {
			row, used = row+" ", used+1
		}
		row, used, started = row+word, used+cells, true
	}
	return append(rows, row)
}

// KeepEnd shortens a text to at most width cells. It removes the beginning,
// because names of runs differ at their ends.
func KeepEnd(text string, width int) string {
	if cells := Cells(text); cells > width {
		return runewidth.TruncateLeft(text, cells-width+Cells("…"), "…")
	}
	return text
}

// gap separates columns and parts of a status line.
const gap = "  "

// Choose selects the items to show in width cells, where item i takes cells[i],
// with a gap between two items. Items of a low rank are selected first, and
// among equal ranks the earlier ones.
func Choose(width int, cells, ranks []int) []bool {
	order := make([]int, len(cells))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return ranks[i] - ranks[j] })
	shown, used := make([]bool, len(cells)), -len(gap)
	for _, i := range order {
		if more := used + len(gap) + cells[i]; more <= width {
			shown[i], used = true, more
		}
	}
	return shown
}

// Part is a part of a status line.
type Part struct {
	Text string
	Rank int // parts of a high rank are left out first if there is not enough room
}

// These are the smallest and the largest number of cells of a bar, including
// brackets. If there is less room, there is no bar.
const (
	shortestBar = 12
	longestBar  = 42
)

// StatusLine joins the parts that fit. If there is room, it adds a bar that
// shows done of total after the first part. Two cells remain empty for the ^C
// that a terminal echoes.
func StatusLine(width, done, total int, parts []Part) string {
	width -= 2
	cells, ranks := make([]int, len(parts)), make([]int, len(parts))
	for i, p := range parts {
		cells[i], ranks[i] = Cells(p.Text), p.Rank
		if p.Text == "" {
			cells[i] = width + 1
		}
	}
	shown, used := Choose(width, cells, ranks), -len(gap)
	var texts []string
	for i, p := range parts {
		if shown[i] {
			texts, used = append(texts, p.Text), used+len(gap)+cells[i]
		}
	}
	if room := min(width-used-len(gap), longestBar); room >= shortestBar && texts != nil && total > 0 {
		texts = slices.Insert(texts, 1, bar(room, done, total))
	}
	return strings.Join(texts, gap)
}

// bar returns a bar of width cells that shows done of total.
func bar(width, done, total int) string {
	width -= len("[]")
	full := min(max(width*done/total, 0), width)
	if full == 0 || full == width {
		return "[" + strings.Repeat("=", full) + strings.Repeat("-", width-full) + "]"
	}
	return "[" + strings.Repeat("=", full-1) + ">" + strings.Repeat("-", width-full) + "]"
}

// Duration returns a remaining time as text: in seconds up to an hour, and in
// minutes above.
func Duration(d time.Duration) string {
	if d = d.Round(time.Second); d < time.Hour {
		return d.String()
	}
	d = d.Round(time.Minute)
	return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
}

// Column is a column of a table.
type Column struct {
	Name  string
	Width int // width of its cells; the name may be longer
	Rank  int // columns of a high rank are left out first if there is not enough room
	Style Style
}

// TableRow returns a row with one text per column, aligned to the right.
// Without texts it returns the heading. Columns that do not fit are left out.
func (t Terminal) TableRow(columns []Column, texts []string) string {
	cells, ranks := make([]int, len(columns)), make([]int, len(columns))
	for i, c := range columns {
		cells[i], ranks[i] = max(c.Width, Cells(c.Name)), c.Rank
	}
	var row []string
	for i, shown := range Choose(t.Width(), cells, ranks) {
		if !shown {
			continue
		}
		text, style := columns[i].Name, Heading
		if texts != nil {
			text, style = texts[i], columns[i].Style
		}
		padding := strings.Repeat(" ", max(0, cells[i]-Cells(text)))
		row = append(row, padding+t.Paint(style, text))
	}
	return strings.TrimRight(strings.Join(row, gap), " ")
}
