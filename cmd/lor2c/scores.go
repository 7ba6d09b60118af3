package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/train"
)

// scoreLine returns a line with loss and scores, or one that says that there were no
// labels.
func scoreLine(e train.Evaluation) string {
	if e.Scores == nil {
		return count(len(e.Predictions), "prediction") + ", without scores, because there are no labels"
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
func printScores(w io.Writer, e *train.SplitEvaluation) {
	fmt.Fprintf(w, "%s: %s\n", e.Split, scoreLine(e.Evaluation))
	if e.Scores == nil {
		return
	}
	fmt.Fprint(w, count(e.Examples, "example"))
	var intervals []string
	for _, name := range slices.Sorted(maps.Keys(e.Intervals)) {
		if i := e.Intervals[name]; i != nil {
			intervals = append(intervals, fmt.Sprintf("%s %.4f to %.4f", name, i.Low, i.High))
		}
	}
	if intervals != nil {
		fmt.Fprintf(w, "; 95 %% bootstrap intervals: %s", strings.Join(intervals, ", "))
	}
	fmt.Fprintln(w)
	if e.Majority == nil || e.Classes == nil {
		return
	}
	fmt.Fprintf(w, "always predicting %q: %s\n", e.Labels[e.Majority.Class], scoreList(e.Majority.Scores, ", "))
	if _, ok := e.Scores["f1"]; ok {
		fmt.Fprintf(w, "f1 is that of class %q; f1_macro is the mean over the classes\n", e.Labels[positiveClass])
	}
	printClasses(w, e)
	printConfusion(w, e)
}

func printClasses(w io.Writer, e *train.SplitEvaluation) {
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "class\tprecision\trecall\tf1\tsupport\t")
	line := func(name string, c metric.ClassScores) {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t\n", name, tableCell(c.Precision), tableCell(c.Recall), tableCell(c.F1),
			c.Support)
	}
	for k, c := range e.Classes.Classes {
		line(shortLabel(e.Labels[k]), c)
	}
	line("macro average", e.Classes.Macro)
	line("weighted average", e.Classes.Weighted)
	t.Flush()
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

func printConfusion(w io.Writer, e *train.SplitEvaluation) {
	if n := len(e.Labels); n > mostColumns {
		fmt.Fprintf(w, "\nThe confusion matrix of %d classes is not printed; --json has it.\n", n)
		return
	}
	fmt.Fprintln(w, "\nconfusion matrix: a row for each label of the data, a column for each prediction")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	var head strings.Builder
	for _, label := range e.Labels {
		head.WriteString("\t" + shortLabel(label))
	}
	fmt.Fprintln(t, head.String()+"\t")
	for k, row := range e.Classes.Confusion {
		fmt.Fprint(t, shortLabel(e.Labels[k]))
		for _, n := range row {
			fmt.Fprintf(t, "\t%d", n)
		}
		fmt.Fprintln(t, "\t")
	}
	t.Flush()
}

// shortLabel cuts a long class name, so that a row of a table fits on a line.
func shortLabel(name string) string {
	const most = 24
	if runes := []rune(name); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return name
}

// printJSON writes the content of printScores as one JSON object.
func printJSON(w io.Writer, e *train.SplitEvaluation) error {
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
		if _, ok := e.Scores["f1"]; ok {
			out["f1_label"] = e.Labels[positiveClass]
		}
	}
	return json.NewEncoder(w).Encode(out)
}
