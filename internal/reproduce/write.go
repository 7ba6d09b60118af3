package reproduce

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/outfile"
)

// write writes table1.md, table1.tex and table1.json into dir.
func (t *table) write(dir string) (paths []string, err error) {
	if paths, err = writeTexts(dir, "table1", map[string]string{"md": t.markdown(), "tex": t.latex()}); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "table1.json")
	return append(paths, path), outfile.WriteJSON(path, t)
}

// writeTexts writes name.ext into dir for every ext of texts. It creates dir if
// necessary.
func writeTexts(dir, name string, texts map[string]string) (paths []string, err error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("reproduce: write %s: %w", dir, err)
	}
	for ext, text := range texts {
		path := filepath.Join(dir, name+"."+ext)
		paths = append(paths, path)
		if err := outfile.WriteBytes(path, []byte(text)); err != nil {
			return nil, err
		}
	}
	slices.Sort(paths)
	return paths, nil
}

// markdown returns a table with a line for each method and task.
func (t *table) markdown() string {
	var b strings.Builder
	mini := t.Profile == Mini
	if mini {
		fmt.Fprintf(&b, "# Table I, mini profile: %s\n\n**%s**\n\n", t.Model, t.Notes[0])
		b.WriteString("| method | task | metric | score | min - max | seeds | parameters | time | device | cell " +
			"|\n|---|---|---|---|---|---|---:|---:|---|---|\n")
	} else {
		fmt.Fprintf(&b, "# %s: %s\n\n", t.Source, t.Model)
		b.WriteString("| method | task | metric | paper | ours | difference | min - max | seeds | parameters (paper) | " +
			"time | device | cell |\n" +
			"|---|---|---|---:|---|---:|---|---|---|---:|---|---|\n")
	}
	for _, r := range t.Rows {
		score, limits, time, parameters := r.ours(" ± "), "-", "-", "-"
		if r.Ours != nil {
			limits, time, parameters = fmt.Sprintf("%.1f - %.1f", r.Ours.Min,
				r.Ours.Max), duration(r.Hours), r.Parameters.String()
		}
		cell := r.Cell
		if r.SelectedFrom > 1 {
			cell += fmt.Sprintf(", best of %d by dev", r.SelectedFrom)
		}
		seeds := strings.Trim(fmt.Sprint(r.Seeds), "[]")
		if r.Missing > 0 {
			seeds += fmt.Sprintf(" (%d missing)", r.Missing)
		}
		if mini {
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", r.Row, taskTitles[r.Task], r.Metric, score,
				limits, seeds, parameters, time, r.Device, cell)
			continue
		}
		difference := "-"
		if r.Difference != nil {
			difference = fmt.Sprintf("%+.1f", *r.Difference)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %.1f | %s | %s | %s | %s | %s (%s) | %s | %s | %s |\n", r.Row, taskTitles[r.Task],
			r.Metric, *r.Paper, score, difference,
			limits, seeds, parameters, r.PaperParameters, time, r.Device, cell)
	}
	for _, a := range t.Averages {
		fmt.Fprintf(&b, "| %s | average | | %.1f | %.1f | %+.1f | | | | | | |\n", a.Row, *a.Paper, a.Ours, a.Ours-*a.Paper)
	}
	b.WriteString("\nScores are times 100: the mean over seeds ± the sample standard deviation. Parameters are those " +
		"that the adapter keeps at its best epoch, the head not counted. Times are wall-clock, all seeds together.\n\n")
	notes := t.Notes
	if mini {
		notes = notes[1:] // the first note is at the top
	}
	for _, n := range notes {
		b.WriteString("* " + n + "\n")
	}
	return b.String()
}

// duration returns hours as text in a suitable unit.
func duration(hours float64) string {
	switch {
	case hours < 1.0/60:
		return fmt.Sprintf("%.0f s", 3600*hours)
	case hours < 1.5:
		return fmt.Sprintf("%.1f min", 60*hours)
	}
	return fmt.Sprintf("%.1f h", hours)
}

// ours returns mean and standard deviation as text, if they are defined.
func (r row) ours(plusMinus string) string {
	switch {
	case r.Ours == nil:
		return "-"
	case r.Ours.SD == nil:
		return fmt.Sprintf("%.1f", r.Ours.Mean)
	}
	return fmt.Sprintf("%.1f%s%.1f", r.Ours.Mean, plusMinus, *r.Ours.SD)
}

var escapeLaTeX = strings.NewReplacer("%", `\%`, "_", `\_`, "&", `\&`, "#", `\#`, "±", `$\pm$`, "≤", `$\le$`)

// latex returns a table for the LaTeX package booktabs with a column for each
// task and, above each line with our numbers, a line with the paper's. The
// notes are printed below the table, so that numbers that must not be compared
// keep their warning on paper.
func (t *table) latex() string {
	var b strings.Builder
	columns := len(t.tasks)
	if len(t.Averages) > 0 {
		columns++
	}
	fmt.Fprintf(&b, "\\begin{tabular}{ll%s}\n\\toprule\nMethod &", strings.Repeat("r", columns))
	for _, task := range t.tasks {
		b.WriteString(" & " + taskTitles[task])
	}
	if columns > len(t.tasks) {
		b.WriteString(" & Avg.")
	}
	b.WriteString(" \\\\\n\\midrule\n")
	for i := 0; i < len(t.Rows); i += len(t.tasks) {
		rows := t.Rows[i : i+len(t.tasks)]
		paper, ours := rows[0].Row+" & paper", " & ours"
		for _, r := range rows {
			if r.Paper != nil {
				paper += fmt.Sprintf(" & %.1f", *r.Paper)
			}
			ours += " & " + escapeLaTeX.Replace(r.ours("±"))
		}
		for _, a := range t.Averages {
			if a.Method == rows[0].Method {
				paper += fmt.Sprintf(" & %.1f", *a.Paper)
				ours += fmt.Sprintf(" & %.1f", a.Ours)
			}
		}
		b.WriteString(latexRow(t.Profile, rows[0].Row, paper, ours))
	}
	b.WriteString(latexEnd(t.Profile, t.Notes))
	return b.String()
}

// latexRow returns the lines of one method: the paper's numbers and ours below them, or in the mini profile ours alone.
func latexRow(profile, name, paper, ours string) string {
	if profile == Mini {
		return name + strings.Replace(ours, "ours", "mini profile", 1) + " \\\\\n"
	}
	return paper + " \\\\\n" + ours + " \\\\\n"
}

// latexEnd returns the end of a table with the notes below it. The first note of the mini profile is its warning.
func latexEnd(profile string, notes []string) string {
	var b strings.Builder
	b.WriteString("\\bottomrule\n\\end{tabular}\n\n\\smallskip\n{\\footnotesize\n")
	for i, n := range notes {
		n = escapeLaTeX.Replace(n)
		if i == 0 && profile == Mini {
			n = "\\textbf{" + n + "}"
		}
		b.WriteString(n + "\n\n")
	}
	b.WriteString("}\n")
	return b.String()
}
