package main

import (
	"fmt"
	"time"

	"github.com/lor2c/lor2c/internal/dataset"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/predict"
	"github.com/lor2c/lor2c/internal/terminal"
)

// predicting returns a function that shows the progress on a screen.
func predicting(screen *terminal.Screen, rows *dataset.Rows, now func() time.Time) func(int) {
	start := now()
	return func(n int) {
		text := place.Count(n, "row", "rows")
		if seconds := now().Sub(start).Seconds(); seconds > 1 {
			text += fmt.Sprintf(", %.0f a second", float64(n)/seconds)
		}
		screen.Status(false, func(width int) []string {
			if rows.Size == 0 {
				return []string{text}
			}
			return []string{terminal.StatusLine(width, int(rows.Done()>>10), int(rows.Size>>10)+1,
				[]terminal.Part{{Text: text}})}
		})
	}
}

// report prints what a user should know about the rows, and where the output is.
func (o predictOptions) report(screen *terminal.Screen, rows *dataset.Rows, sum predict.Summary, out output) {
	note := func(format string, a ...any) { screen.Print(terminal.Plain, "note: "+fmt.Sprintf(format, a...), 2) }
	if sum.Skipped > 0 {
		note("%s left out; the first: %v", place.Count(sum.Skipped, "row was", "rows were"), sum.FirstBad)
	}
	for _, f := range rows.Findings() {
		note("%s", f)
	}
	if sum.Empty > 0 {
		note("%s:%d: %s empty", rows.Path, sum.FirstEmpty, place.Count(sum.Empty, "text is", "texts are"))
	}
	if sum.Truncated > 0 {
		note("%s longer than the adapter's longest text and lost the end", place.Count(sum.Truncated, "text is",
			"texts are"))
	}
	if !out.toStdout() {
		before := ""
		if sum.Before > 0 {
			before = fmt.Sprintf(", %d of them by the interrupted command", sum.Before)
		}
		screen.Print(terminal.Plain, fmt.Sprintf("%s: %s%s", o.out, place.Count(sum.Rows, "row", "rows"), before), 2)
	}
}
