package terminal

import (
	"fmt"
	"strings"
)

// Markdown returns a page of Markdown as the terminal shows it: lines are broken between words, and the columns of a
// table are aligned. If a table is wider than the terminal, its last columns are left out, which a line below it says.
// Without a terminal it returns the page.
func (t Terminal) Markdown(page string) string {
	if !t.Live {
		return page
	}
	var out, table []string
	for line := range strings.SplitSeq(page+"\n", "\n") {
		if strings.HasPrefix(line, "|") {
			table = append(table, line)
			continue
		}
		out = append(out, t.table(table)...)
		table = nil
		indent := 0
		if strings.HasPrefix(line, "* ") {
			indent = 2
		}
		out = append(out, Wrap(line, t.Width(), indent)...)
	}
	return strings.TrimSuffix(strings.Join(out, "\n"), "\n")
}

// table returns the rows of a table, whose second line says how columns are aligned.
func (t Terminal) table(lines []string) (out []string) {
	var rows [][]string
	var widths []int
	for i, line := range lines {
		cells := strings.Split(strings.TrimSuffix(strings.TrimPrefix(line, "|"), "|"), "|")
		for j := range cells {
			cells[j] = strings.TrimSpace(cells[j])
			if j == len(widths) {
				widths = append(widths, 0)
			}
			if i != 1 {
				widths[j] = max(widths[j], Cells(cells[j]))
			}
		}
		rows = append(rows, cells)
	}
	shown, used := 0, 0
	for shown < len(widths) && (shown == 0 || used+len(gap)+widths[shown] <= t.Width()) {
		if used += widths[shown]; shown > 0 {
			used += len(gap)
		}
		shown++
	}
	for i, cells := range rows {
		if i == 1 {
			continue
		}
		var row []string
		for j, cell := range cells[:min(shown, len(cells))] {
			space := strings.Repeat(" ", widths[j]-Cells(cell))
			style := Plain
			if i == 0 {
				style = Heading
			}
			if len(rows) > 1 && j < len(rows[1]) && strings.HasSuffix(rows[1][j], ":") {
				row = append(row, space+t.Paint(style, cell))
			} else {
				row = append(row, t.Paint(style, cell)+space)
			}
		}
		out = append(out, strings.TrimRight(strings.Join(row, gap), " "))
	}
	if left := len(widths) - shown; left > 0 {
		text := fmt.Sprintf("The terminal has no room for %d of %d columns; the files have them.", left, len(widths))
		out = append(out, Wrap(text, t.Width(), 0)...)
	}
	return out
}
