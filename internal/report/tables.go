package report

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/lor2c/lor2c/internal/figure"
)

// table is a table for HTML and Markdown.
type table struct {
	Head   []column
	Rows   [][]string
	Chosen int // index of the highlighted row, or -1
}

type column struct {
	Name   string
	Number bool // align to the right
}

// newTable returns a table without rows. The names of columns of numbers start
// with "#".
func newTable(names ...string) *table {
	t := &table{Chosen: -1}
	for _, name := range names {
		text, isNumber := strings.CutPrefix(name, "#")
		t.Head = append(t.Head, column{text, isNumber})
	}
	return t
}

func (t *table) add(cells ...string) { t.Rows = append(t.Rows, cells) }

// candidateTable returns a table of the candidates in the order of their ranks.
func (e Event) candidateTable() *table {
	t := newTable("#rank", "candidate", "scores of its members", "#score")
	scores, _ := e.increases()
	if len(scores) > 0 {
		t.Head = append(t.Head, column{"what-if loss", true}, column{"change ± s.e.", true})
	}
	for i, c := range e.ranked() {
		name := spanName(c.Span)
		if c.Winner {
			t.Chosen = i
			name += " (chosen)"
		}
		row := []string{strconv.Itoa(c.Rank), name, c.memberScores(), fixed(float64(c.Score), 4)}
		if len(scores) > 0 {
			change := signed(float64(c.Increase), 4)
			if c.IncreaseSE.Defined() {
				change += " ± " + fixed(float64(c.IncreaseSE), 4)
			}
			row = append(row, fixed(float64(c.Loss), 4), change)
		}
		t.add(row...)
	}
	return t
}

// memberScores returns the scores of the members as a sum.
func (c Candidate) memberScores() string {
	var parts []string
	for i, m := range c.Members {
		parts = append(parts, fmt.Sprintf("%s: %s", spanName(m), fixed(float64(c.Scores[i]), 3)))
	}
	return strings.Join(parts, " + ")
}

// operationTable returns a table of the planned and the executed operations.
func (r *Run) operationTable() *table {
	t := newTable("operation", "#planned epoch", "#step", "outcome", "#event")
	for _, o := range r.Operations {
		event := none
		if o.Event > 0 {
			event = strconv.Itoa(o.Event)
		}
		t.add(fmt.Sprintf("%s %d", o.Action, o.Number), epoch(o.PlannedEpoch), strconv.Itoa(o.PlannedStep), o.Status, event)
	}
	return t
}

func (r *Run) correlationTable() *table {
	t := newTable("over", "action", "#candidates", "#Spearman", "#p, if they were independent")
	for _, c := range r.Correlations {
		t.add(c.Of, c.Action, strconv.Itoa(c.Candidates), signed(float64(c.Spearman), 2), fixed(float64(c.P), 2))
	}
	return t
}

// factTable returns a table with a row for each fact.
func factTable(facts []fact) *table {
	t := newTable("setting", "value")
	for _, f := range facts {
		t.add(f.Name, f.Value)
	}
	return t
}

func (p Pair) configurationTable() *table {
	t := newTable("key", p.First, p.Other)
	for _, d := range p.Configuration {
		t.add(d.Key, d.First, d.Other)
	}
	return t
}

func (p Pair) divergenceTable() *table {
	t := newTable("kind", "#step", "#line", "field", p.First, p.Other)
	for _, d := range p.Divergence {
		t.add(d.Kind, strconv.Itoa(d.Step), strconv.Itoa(d.Line), d.Field, d.First, d.Other)
	}
	return t
}

// results returns the table of results, with one column per run.
func results(runs []*Run) *table {
	t := newTable("")
	names := map[string]bool{}
	for _, run := range runs {
		t.Head = append(t.Head, column{Name: run.Name})
		for name := range run.Results {
			names[name] = true
		}
	}
	row := func(name string, value func(*Run) string) {
		line := []string{name}
		for _, run := range runs {
			line = append(line, value(run))
		}
		t.add(line...)
	}
	row("method", func(run *Run) string { return run.Method })
	row("seed", func(run *Run) string { return fmt.Sprint(run.Seed) })
	row("finished", func(run *Run) string { return map[bool]string{true: "yes", false: "no"}[run.Finished] })
	row("selected by", func(run *Run) string { return run.Metric })
	row("best epoch", func(run *Run) string {
		if run.Best == nil {
			return none
		}
		return epoch(run.Best.Epoch)
	})
	row("best value", func(run *Run) string { return fixed(run.score(run.Best), 4) })
	row("95 % interval", (*Run).interval)
	row("dev examples", func(run *Run) string {
		if run.Baseline == nil {
			return none
		}
		return fmt.Sprint(run.Baseline.Examples)
	})
	row("baseline", func(run *Run) string { return fixed(run.baseline(), 4) })
	row("merges", func(run *Run) string { return run.counts("merge") })
	row("injections", func(run *Run) string { return run.counts("inject") })
	row("scalars, start", func(run *Run) string { return run.count(0) })
	row("scalars, end", func(run *Run) string { return run.count(len(run.Parameters) - 1) })
	for _, name := range slices.Sorted(maps.Keys(names)) {
		row(name, func(run *Run) string {
			v, ok := run.Results[name]
			if !ok {
				return none
			}
			if name == "epoch" || name == "train_samples" {
				return fixed(float64(v), 0)
			}
			return fixed(float64(v), 4)
		})
	}
	return t
}

// counts returns the numbers of executed and planned operations as text.
func (r *Run) counts(action string) string {
	if r.Plan == nil {
		return none
	}
	return fmt.Sprintf("%d of %d", r.executed(action),
		map[string]int{"merge": r.Plan.MaxMerges, "inject": r.Plan.MaxInjects}[action])
}

func (r *Run) count(i int) string {
	if i < 0 || i >= len(r.Parameters) {
		return none
	}
	return figure.Thousands(r.Parameters[i].Count)
}
