package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/lor2c/lor2c/internal/figure"
)

// Markdown writes the numbers of the report as GitHub-flavoured Markdown.
func (r *Report) Markdown(w io.Writer) error {
	m := &markdown{}
	m.line("# %s", escape(r.title()))
	m.line("Layers count from 0, as in the names of Hugging Face; spans include both ends.")
	if c := r.Comparison; c != nil {
		m.line("## Side by side")
		m.table(results(r.Runs))
		for _, pair := range c.With {
			m.pair(pair)
		}
	}
	for _, run := range r.Runs {
		m.run(run)
	}
	if words := r.glossary(); len(words) > 0 {
		m.line("## Words")
		for _, w := range words {
			m.line("**%s**: %s", escape(w.Name), escape(w.Value))
		}
	}
	if _, err := w.Write(m.Bytes()); err != nil {
		return fmt.Errorf("report: write Markdown: %w", err)
	}
	return nil
}

// markdown is a page that is being written.
type markdown struct{ bytes.Buffer }

// line writes a paragraph or a heading.
func (m *markdown) line(format string, a ...any) {
	if m.Len() > 0 {
		m.WriteByte('\n')
	}
	fmt.Fprintf(m, format+"\n", a...)
}

func (m *markdown) table(t *table) {
	m.WriteByte('\n')
	var head, rule []string
	for _, c := range t.Head {
		head = append(head, c.Name)
		rule = append(rule, map[bool]string{false: "---", true: "--:"}[c.Number])
	}
	m.row(head)
	fmt.Fprintf(m, "| %s |\n", strings.Join(rule, " | "))
	for _, row := range t.Rows {
		m.row(row)
	}
}

func (m *markdown) row(cells []string) {
	escaped := make([]string, len(cells))
	for i, c := range cells {
		escaped[i] = escape(c)
	}
	fmt.Fprintf(m, "| %s |\n", strings.Join(escaped, " | "))
}

// escape returns text with all characters escaped that could be read as markup.
var escape = strings.NewReplacer("\\", "\\\\", "|", "\\|", "*", "\\*", "_", "\\_", "`", "\\`", "[", "\\[", "<", "&lt;",
	"&", "&amp;").Replace

func (m *markdown) pair(p Pair) {
	m.line("## %s against %s", escape(p.Other), escape(p.First))
	if len(p.Configuration) == 0 {
		m.line("%s", sameConfiguration)
	} else {
		m.table(p.configurationTable())
	}
	if len(p.Configuration) > 0 {
		return // the runs were not meant to be equal
	}
	if len(p.Divergence) == 0 {
		m.line("%s", sameLogs)
		return
	}
	m.line("%s", divergenceText)
	m.table(p.divergenceTable())
}

func (m *markdown) run(r *Run) {
	m.line("## %s", escape(r.Name))
	for _, note := range r.Notes {
		m.line("> %s", escape(note))
	}
	m.table(factTable(append(r.tiles(), r.facts()...)))
	if len(r.Operations) > 0 {
		m.line("### Planned and executed")
		m.table(r.operationTable())
		for _, line := range r.whyNot() {
			m.line("%s", line)
		}
	}
	if len(r.Ties) > 0 {
		m.line("### Shared factors")
		m.table(r.tieTable())
	}
	if len(r.Ranks) > 0 {
		m.line("### Ranks")
		m.table(r.rankTable())
	}
	for _, e := range r.Events {
		m.line("### Event %d: %s", e.Number, e.what())
		m.line("Epoch %s, step %d. %s Scalars of the adapter: %s before, %s after.",
			epoch(e.Epoch), e.Step, e.why(), figure.Thousands(e.ParametersBefore), figure.Thousands(e.ParametersAfter))
		m.table(e.candidateTable())
	}
	if len(r.Correlations) > 0 {
		m.line("### Score against loss increase")
		m.table(r.correlationTable())
		m.line("%s", correlationText)
	}
	m.line("### Results")
	m.table(results([]*Run{r}))
}
