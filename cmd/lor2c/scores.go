package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/terminal"
	"github.com/lor2c/lor2c/internal/train"
)

// scoreLine returns a line with loss and scores, or one that says that there were no
// labels.
func scoreLine(e train.Evaluation) string {
	if e.Scores == nil {
		made := len(e.Predictions) + len(e.Sets) + len(e.Tags)
		return count(made, "prediction") + ", without scores, because there are no labels"
	}
	return fmt.Sprintf("loss %.4f  ", e.Loss) + scoreList(e.Scores, "  ")
}

// count returns n and the word thing, in the plural if n is not 1.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func scoreList(s metric.Scores, between string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(s)) {
		parts = append(parts, fmt.Sprintf("%s %v", name, metric.Number(s[name])))
	}
	return strings.Join(parts, between)
}

// positiveClass is the index of the class whose F1 score is reported as f1.
const positiveClass = 1

// printScores writes the scores of a split as text: the scores, their bootstrap
// intervals, the scores of always predicting the most frequent class, a table of the
// classes and the confusion matrix.
func printScores(s *terminal.Screen, e *train.SplitEvaluation) {
	line := func(format string, a ...any) { s.Print(terminal.Plain, fmt.Sprintf(format, a...), 2) }
	line("%s: %s", e.Split, scoreLine(e.Evaluation))
	if e.Scores == nil {
		return
	}
	examples := count(e.Examples, "example")
	var intervals []string
	for _, name := range slices.Sorted(maps.Keys(e.Intervals)) {
		if i := e.Intervals[name]; i != nil {
			intervals = append(intervals, fmt.Sprintf("%s %.4f to %.4f", name, i.Low, i.High))
		}
	}
	if intervals != nil {
		examples += "; 95 % bootstrap intervals: " + strings.Join(intervals, ", ")
	}
	line("%s", examples)
	if e.Classes == nil {
		return
	}
	if e.Majority == nil { // an example can have several labels
		line("")
		printClasses(s, e)
		return
	}
	line("always predicting %q: %s", e.Labels[e.Majority.Class], scoreList(e.Majority.Scores, ", "))
	if _, ok := e.Scores["f1"]; ok && e.Tagged == nil {
		line("f1 is that of class %q; f1_macro is the mean over the classes", e.Labels[positiveClass])
	}
	line("")
	printClasses(s, e)
	if e.Classes.Confusion == nil { // an example can have several entities
		return
	}
	line("")
	printConfusion(s, e)
}

func printClasses(s *terminal.Screen, e *train.SplitEvaluation) {
	rows, names := [][]string{{"class", "precision", "recall", "f1", "support"}}, e.Labels
	if e.Classes.Names != nil {
		rows[0][0], names = "entity", e.Classes.Names
	}
	add := func(name string, c metric.ClassScores) {
		rows = append(rows,
			[]string{name, tableCell(c.Precision), tableCell(c.Recall), tableCell(c.F1), strconv.Itoa(c.Support)})
	}
	for k, c := range e.Classes.Classes {
		add(shortLabel(names[k]), c)
	}
	if e.Classes.Micro != nil {
		add("micro average", *e.Classes.Micro)
	}
	add("macro average", e.Classes.Macro)
	add("weighted average", e.Classes.Weighted)
	// A narrow terminal has fewer columns, the most telling ones first.
	printTable(s, rows, []int{0, 3, 2, 1, 4})
}

// tableCell returns the text of n in a table, which is empty if n is undefined.
func tableCell(n metric.Number) string {
	if !n.Defined() {
		return ""
	}
	return n.String()
}

// mostColumns is the largest number of classes for which the confusion matrix is
// printed.
const mostColumns = 12

func printConfusion(s *terminal.Screen, e *train.SplitEvaluation) {
	rows := [][]string{append([]string{""}, shortLabels(e.Labels)...)}
	for k, counts := range e.Classes.Confusion {
		row := []string{shortLabel(e.Labels[k])}
		for _, n := range counts {
			row = append(row, strconv.Itoa(n))
		}
		rows = append(rows, row)
	}
	cells := 0
	for _, c := range columnWidths(rows) {
		cells += len(columnGap) + c
	}
	switch n := len(e.Labels); {
	case n > mostColumns:
		s.Print(terminal.Plain, fmt.Sprintf("The confusion matrix of %d classes is not printed; --json has it.", n), 2)
	case s.Live && cells > s.Width():
		s.Print(terminal.Plain,
			fmt.Sprintf("The confusion matrix of %d classes is wider than the terminal; --json has it.", n), 2)
	default:
		s.Print(terminal.Plain, "confusion matrix: a row for each label of the data, a column for each prediction", 2)
		printTable(s, rows, make([]int, len(rows[0])))
	}
}

// columnGap is in front of every column of a table.
const columnGap = "  "

// columnWidths returns the number of cells of each column.
func columnWidths(rows [][]string) []int {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, text := range row {
			widths[i] = max(widths[i], terminal.Cells(text))
		}
	}
	return widths
}

// printTable writes rows with aligned columns. If the terminal is too narrow for all
// columns, those of the highest ranks are left out, and a line below names them.
func printTable(s *terminal.Screen, rows [][]string, ranks []int) {
	widths := columnWidths(rows)
	var shown []bool
	if s.Live {
		shown = terminal.Choose(s.Width()-len(columnGap), widths, ranks)
	}
	for _, row := range rows {
		var b strings.Builder
		for i, text := range row {
			if shown == nil || shown[i] {
				b.WriteString(columnGap + strings.Repeat(" ", widths[i]-terminal.Cells(text)) + text)
			}
		}
		s.Row(b.String())
	}
	var out []string
	for i, fits := range shown {
		if !fits {
			out = append(out, rows[0][i])
		}
	}
	if out != nil {
		s.Print(terminal.Plain, fmt.Sprintf("The terminal is too narrow for %s; --json has all columns.",
			strings.Join(out, ", ")), 2)
	}
}

func shortLabels(names []string) []string {
	short := make([]string, len(names))
	for i, name := range names {
		short[i] = shortLabel(name)
	}
	return short
}

// shortLabel cuts a long class name, so that a row of a table fits on a line.
func shortLabel(name string) string {
	const most = 24
	if runes := []rune(name); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return name
}

// printViews writes a table of the scores of several forms of a method.
func printViews(s *terminal.Screen, list []*train.SplitEvaluation) {
	e := list[0]
	s.Print(terminal.Plain, fmt.Sprintf("%s: %s", e.Split, count(e.Examples, "example")), 2)
	if e.Scores == nil {
		s.Print(terminal.Plain, scoreLine(e.Evaluation), 2)
		return
	}
	names := slices.Sorted(maps.Keys(e.Scores))
	rows := [][]string{append([]string{"", "loss"}, names...)}
	for _, e := range list {
		row := []string{e.View, fmt.Sprintf("%.4f", e.Loss)}
		for _, name := range names {
			row = append(row, tableCell(metric.Number(e.Scores[name])))
		}
		rows = append(rows, row)
	}
	ranks := make([]int, len(rows[0]))
	for i := range ranks {
		ranks[i] = i
	}
	printTable(s, rows, ranks)
}

// printViewsJSON writes the content of printScores for each of several forms of a method as one JSON object.
func printViewsJSON(w io.Writer, list []*train.SplitEvaluation) error {
	var views []map[string]any
	for _, e := range list {
		views = append(views, scoresJSON(e))
	}
	return json.NewEncoder(w).Encode(map[string]any{"split": list[0].Split, "views": views})
}

// printJSON writes the content of printScores as one JSON object.
func printJSON(w io.Writer, e *train.SplitEvaluation) error {
	return json.NewEncoder(w).Encode(scoresJSON(e))
}

func scoresJSON(e *train.SplitEvaluation) map[string]any {
	out := map[string]any{"split": e.Split, "examples": e.Examples, "labelled": e.Labelled}
	if e.Scores != nil {
		out["loss"], out["scores"], out["intervals_95"] = metric.Number(e.Loss), e.Scores, e.Intervals
	}
	if e.Majority != nil {
		out["majority"] = map[string]any{"label": e.Labels[e.Majority.Class], "count": e.Majority.Count,
			"scores": e.Majority.Scores}
	}
	if e.Classes != nil {
		out["labels"], out["by_class"] = e.Labels, e.Classes
		if _, ok := e.Scores["f1"]; ok && e.Tagged == nil {
			out["f1_label"] = e.Labels[positiveClass]
		}
	}
	if e.View != "" {
		out["view"] = e.View
	}
	return out
}
