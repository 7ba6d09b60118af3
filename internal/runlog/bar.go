package runlog

import (
	"fmt"
	"math"

	"github.com/lor2c/lor2c/internal/terminal"
)

// draw draws the progress bar below the lines of the console.
func (r *Run) draw(change bool, bar func(width int) string) {
	r.console.screen.Status(change, func(width int) []string { return []string{bar(width)} })
}

// training returns the progress bar of the optimizer steps.
func (r *Run) training(width int) string {
	parts := []terminal.Part{{Text: of(r.step, r.o.Steps)}, {Text: r.running(), Rank: 3},
		{Text: r.loss, Rank: 2}, {Text: r.score, Rank: 4}}
	if c := &r.clock; !math.IsNaN(c.examplesRate) {
		parts = append(parts, terminal.Part{Text: fmt.Sprintf("%.1f ex/s", c.examplesRate), Rank: 5})
	}
	return terminal.StatusLine(width, r.step, r.o.Steps, append(parts, r.eta()))
}

// between returns the progress bar of work between two steps, such as an evaluation.
func (r *Run) between(width int, what string, done, total int) string {
	return terminal.StatusLine(width, done, total, []terminal.Part{
		{Text: fmt.Sprintf("%s %d/%d", what, done, total)}, {Text: r.running(), Rank: 1},
		{Text: "step " + of(r.step, r.o.Steps), Rank: 3}, r.eta()})
}

func (r *Run) eta() terminal.Part {
	if eta, ok := r.clock.eta(r.o.Steps); ok {
		return terminal.Part{Text: "eta " + terminal.Duration(eta), Rank: 1}
	}
	return terminal.Part{}
}

// running returns the name of the epoch of the last step.
func (r *Run) running() string {
	if r.o.StepsPerEpoch <= 0 {
		return ""
	}
	return "epoch " + of(max(1, (r.step+r.o.StepsPerEpoch-1)/r.o.StepsPerEpoch), r.o.Epochs)
}

// These are the ranks of the columns of the table of evaluations. Narrow
// terminals show only the columns of the first ranks.
const (
	rankScore = iota
	rankEpoch
	rankBest
	rankLoss
	rankOther // further scores
	rankStep
)

// evalRow prints an evaluation as a row of a table. It prints a heading first
// if the columns differ from those of the last heading.
func (r *Run) evalRow(e Eval) {
	t := r.console.screen.Terminal
	style := terminal.Plain
	if e.Best {
		style = terminal.Good
	}
	columns := []terminal.Column{
		{Name: "epoch", Width: len(of(r.o.Epochs, r.o.Epochs)) + len(".00"), Rank: rankEpoch},
		{Name: "step", Width: len(of(r.o.Steps, r.o.Steps)), Rank: rankStep},
	}
	texts := []string{of(epochText(e.Epoch), r.o.Epochs), of(e.Step, r.o.Steps)}
	add := func(name string, v float64, rank int) {
		text := fmt.Sprintf("%.4f", v)
		switch {
		case math.IsNaN(v):
			text = "" // undefined
		case len(text) > len("-0.0000"):
			text = fmt.Sprintf("%.3g", v)
		}
		columns = append(columns, terminal.Column{Name: name, Width: len("-0.0000"), Rank: rank, Style: style})
		texts = append(texts, text)
	}
	if v, ok := e.Scores[r.o.Select]; ok {
		add(r.o.Select+"*", v, rankScore)
	}
	style = terminal.Plain
	add("loss", e.Loss, rankLoss)
	for _, name := range r.o.Scores {
		if v, ok := e.Scores[name]; ok && name != r.o.Select {
			add(name, v, rankOther)
		}
	}
	best := ""
	if e.Best {
		best = "best"
	}
	columns = append(columns, terminal.Column{Width: len("best"), Rank: rankBest, Style: terminal.Good})
	if heading := t.TableRow(columns, nil); heading != r.console.heading {
		r.console.heading = heading
		r.console.screen.Row(heading)
	}
	r.console.screen.Row(t.TableRow(columns, append(texts, best)))
}
