package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/terminal"
)

// print writes the comparison as tables and lists.
func (r *compared) print(s *terminal.Screen) {
	line := func(format string, a ...any) { s.Print(terminal.Plain, fmt.Sprintf(format, a...), 4) }
	tty := s.Terminal
	if tty.Width == nil {
		tty.Width = func() int { return 4 * columns } // a file has room for every column
	}
	for i, side := range []side{r.A, r.B} {
		state := "not finished"
		if side.Finished {
			state = "finished"
		}
		line("%c  %s: %s, step %d, %s", 'A'+rune(i), side.Run, side.Method, side.Step, state)
	}
	pair := []terminal.Column{{Width: len("best accuracy")}, {Name: "A", Width: 10}, {Name: "B", Width: 10}}
	s.Row(tty.TableRow(pair, nil))
	row := func(name string, value func(side) string) {
		s.Row(tty.TableRow(pair, []string{name, value(r.A), value(r.B)}))
	}
	row("parameters", func(s side) string {
		if s.Parameters == 0 {
			return "unknown"
		}
		return strconv.Itoa(s.Parameters)
	})
	row("time", func(s side) string { return duration(s.Seconds) })
	row("best epoch", func(s side) string {
		if !s.BestEpoch.Defined() {
			return "none"
		}
		return fmt.Sprintf("%.4g", float64(s.BestEpoch))
	})
	if r.A.Metric == r.B.Metric {
		row("best "+r.A.Metric, func(s side) string { return s.Best.String() })
	}
	r.printScores(s, tty)
	if len(r.Configuration) == 0 {
		line("settings: no difference")
	} else {
		line("settings, A and B:")
	}
	for _, d := range r.Configuration {
		line("  %s: %s | %s", d.Key, d.First, d.Other)
	}
	if len(r.Divergence) == 0 {
		line("logs: equal, record by record")
	} else {
		line("first records that differ, A and B:")
	}
	for _, d := range r.Divergence {
		field := ""
		if d.Field != "" {
			field = " " + d.Field
		}
		line("  step %d, %s%s: %s | %s", d.Step, d.Kind, field, d.First, d.Other)
	}
}

// printScores writes the table of the evaluation.
func (r *compared) printScores(s *terminal.Screen, tty terminal.Terminal) {
	if r.Split == "" {
		return
	}
	s.Print(terminal.Plain, fmt.Sprintf("%s, %s, B minus A, 95 %% intervals by a paired bootstrap:", r.Split,
		place.Count(r.Examples, "example", "examples")), 2)
	names := slices.Sorted(maps.Keys(r.Scores))
	width := 0
	for _, name := range names {
		width = max(width, len(name))
	}
	table := []terminal.Column{
		{Width: width}, {Name: "A", Width: 6, Rank: 2}, {Name: "B", Width: 6, Rank: 2}, {Name: "B - A", Width: 7},
		{Name: "from", Width: 7, Rank: 1}, {Name: "to", Width: 7, Rank: 1}, {Name: "p", Width: 6, Rank: 3},
	}
	s.Row(tty.TableRow(table, nil))
	for _, name := range names {
		d, low, high := r.Scores[name], "", ""
		if d.Interval != nil {
			low, high = signed(metric.Number(d.Interval.Low)), signed(metric.Number(d.Interval.High))
		}
		p := ""
		if d.P.Defined() {
			p = fmt.Sprintf("%.4f", float64(d.P))
			if d.P == 0 { // no draw of 2,000 is on the other side
				p = "<0.001"
			}
		}
		s.Row(tty.TableRow(table, []string{name, metric.Number(r.A.Scores[name]).String(),
			metric.Number(r.B.Scores[name]).String(), signed(d.Value), low, high, p}))
	}
}

// signed formats a difference with its sign.
func signed(v metric.Number) string {
	if !v.Defined() {
		return v.String()
	}
	return fmt.Sprintf("%+.4f", float64(v))
}
