package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/evaluate"
	"github.com/lor2c/lor2c/internal/instruct"
	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/terminal"
)

// printResults prints the score of a benchmark, those of its tasks and what a reader must know about them.
func printResults(s *terminal.Screen, task string, r *evaluate.Results, d *metric.Difference) {
	line := func(format string, a ...any) { s.Print(terminal.Plain, fmt.Sprintf(format, a...), 2) }
	line("%s", r.Title)
	if task == perplexityTask {
		all := r.Scores[perplexityTask]
		line("per token: NLL %.4f, perplexity %.4f, of %d tokens", all["nll_per_token,none"], all["token_perplexity,none"],
			all["tokens"])
		line("per byte:  NLL %.4f, perplexity %.4f, of %d bytes; %.4f bits", all["nll_per_byte,none"],
			all["byte_perplexity,none"], all["bytes"], all["bits_per_byte,none"])
		line("results: %s", r.Path)
		return
	}
	stdErr := ""
	if r.StdErr.Defined() {
		stdErr = fmt.Sprintf(" ± %.2f", 100*r.StdErr)
	}
	line("%s %.2f%s, %s", r.Metric, 100*r.Value, stdErr, count(r.N, "question"))
	if d != nil {
		interval := ""
		if d.Interval != nil {
			interval = fmt.Sprintf(", 95 %% interval %+.2f to %+.2f, p %.3f", 100*d.Interval.Low, 100*d.Interval.High, d.P)
		}
		line("difference %+.2f%s, by a paired bootstrap", 100*d.Value, interval)
	}
	for _, note := range notesOf(r) {
		line("%s", note)
	}
	rows := [][]string{{"task", r.Metric, "±"}}
	for _, name := range slices.Sorted(maps.Keys(r.Scores)) {
		scores := r.Scores[name]
		row := []string{name, "", ""}
		for key, value := range scores {
			score, _, _ := strings.Cut(key, ",")
			if score == r.Metric {
				row[1] = percent(value)
			}
			if score == r.Metric+"_stderr" {
				row[2] = percent(value)
			}
		}
		rows = append(rows, row)
	}
	if len(rows) > 2 {
		line("")
		printTable(s, rows, []int{0, 0, 1})
	}
	line("results: %s", r.Path)
}

// percent returns a score times 100, or "" for one that is undefined.
func percent(score any) string {
	n, ok := score.(metric.Number)
	if !ok || !n.Defined() {
		return ""
	}
	return fmt.Sprintf("%.2f", 100*float64(n))
}

// notesOf returns what a reader must know to judge a score.
func notesOf(r *evaluate.Results) (notes []string) {
	if r.NotAsked > 0 {
		notes = append(notes, count(r.NotAsked, "question")+" not asked, because of --limit")
	}
	if r.Fewer > 0 {
		notes = append(notes, count(r.Fewer, "prompt")+" with fewer examples, because all do not fit")
	}
	if r.Cut > 0 {
		notes = append(notes, count(r.Cut, "prompt")+" cut at the start, because the model has fewer positions")
	}
	for _, outcome := range slices.Sorted(maps.Keys(r.Outcomes)) {
		notes = append(notes, fmt.Sprintf("%s %s", count(r.Outcomes[outcome], "program"), outcome))
	}
	return notes
}

// templateNote says that an adapter was trained with prompts of another form than those of a task. It returns "" if
// that is not known, or not so.
func templateNote(template, task string) string {
	if template == "" || template == instruct.TemplateNone {
		return ""
	}
	prompts := "the prompts of " + task + " do"
	if task == perplexityTask {
		prompts = "the text does"
	}
	return fmt.Sprintf("note: the adapter was trained with the template %s, which %s not have", template, prompts)
}
