package reproduce

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat"

	"github.com/lor2c/lor2c/internal/outfile"
	"github.com/lor2c/lor2c/internal/sweep"
)

// secondTable is Table II with our results. Scores are multiplied by 100, as in the paper.
type secondTable struct {
	Profile  string         `json:"profile"`
	Source   string         `json:"source"` // where the paper's numbers come from; "" without them
	Model    string         `json:"model"`
	Rows     []benchmarkRow `json:"rows"`
	Averages []average      `json:"averages"` // of methods with all four benchmarks
	Notes    []string       `json:"notes"`
	tasks    []string
}

// benchmarkRow is a method in a benchmark.
type benchmarkRow struct {
	Method          string        `json:"method"`
	Row             string        `json:"row"`
	Task            string        `json:"task"`
	Paper           *float64      `json:"paper"`
	Ours            *sweep.Spread `json:"ours"` // nil without any score
	StdErr          *float64      `json:"stderr"`
	Difference      *float64      `json:"difference"` // ours - paper
	Scores          []*Score      `json:"scores"`     // not multiplied
	Seeds           []uint64      `json:"seeds"`
	Parameters      sweep.Range   `json:"parameters"`
	PaperParameters string        `json:"paper_parameters"`
}

// table2 returns the results in the form of the paper's table.
func (j *Job) table2(sum *sweep.Summary) *secondTable {
	t := &secondTable{Profile: j.o.Profile, Model: "LLaMA2-7B", tasks: j.o.Tasks, Averages: []average{}}
	if j.o.Profile == Paper {
		t.Source = "Table II of arXiv:2503.00572"
		if j.o.Model != "" {
			t.Model = filepath.Base(j.o.Model)
		}
	} else {
		t.Model = "demo decoder (stories260K)"
	}
	paper, all := readTable(paper2CSV)
	for _, p := range paper {
		if !slices.Contains(j.o.Methods, p.method) {
			continue
		}
		var means []float64
		for _, task := range j.o.Tasks {
			r := benchmarkRow{Method: p.method, Row: p.row, Task: task, Seeds: []uint64{}, Scores: []*Score{}}
			for _, g := range sum.Groups {
				if g.Name == table2+"-"+p.method {
					r.Parameters = g.Parameters
				}
			}
			var scores, errs []float64
			for _, a := range j.answers {
				if a.method == p.method && a.task == task {
					scores, errs = append(scores, 100*float64(a.score.Value)), append(errs, 100*float64(a.score.StdErr))
					r.Scores, r.Seeds = append(r.Scores, a.score), append(r.Seeds, a.seed)
				}
			}
			if s := sweep.NewSpread(scores); s.N > 0 {
				r.Ours = &s
				means = append(means, float64(s.Mean))
				if e := stat.Mean(errs, nil); !math.IsNaN(e) {
					r.StdErr = &e
				}
			}
			if score := p.scores[task]; j.o.Profile == Paper && !math.IsNaN(score) {
				r.Paper, r.PaperParameters = &score, p.parameters
				if r.Ours != nil {
					d := float64(r.Ours.Mean) - score
					r.Difference = &d
				}
			}
			t.Rows = append(t.Rows, r)
		}
		if len(means) == len(all) {
			a := average{Method: p.method, Row: p.row, Ours: stat.Mean(means, nil)}
			if j.o.Profile == Paper && !math.IsNaN(p.average) {
				a.Paper = &p.average
			}
			t.Averages = append(t.Averages, a)
		}
	}
	t.Notes = j.notes2()
	return t
}

// notes2 returns what a reader must know to compare the numbers.
func (j *Job) notes2() (notes []string) {
	if j.o.Profile == Mini {
		notes = append(notes, j.profile.note)
	}
	titles := []string{}
	for _, a := range j.answers {
		if !slices.Contains(titles, a.score.Title) {
			titles = append(titles, a.score.Title)
		}
	}
	notes = append(notes, "Benchmarks are asked as "+strings.Join(titles, ", ")+".",
		"The difference to LoRA has a 95 % interval by a paired bootstrap over the questions, for one run of each. If it "+
			"contains 0, the questions do not tell the two apart. It does not contain the spread over seeds.")
	if !slices.Contains(j.o.Tasks, "humaneval") {
		notes = append(notes, "HumanEval was left out: it runs programs that the models write, which "+
			"--allow-code-execution permits.")
	}
	if j.o.Profile == Paper {
		notes = append(notes, "The paper does not say whether its harness chose the most probable token or drew, and gives "+
			"no standard errors. Its HumanEval scores of LoRA and LoR2C are no multiples of 1/164.")
	}
	return append(notes, j.changed()...)
}

// write writes table2.md, table2.tex and table2.json into dir.
func (t *secondTable) write(dir string) (paths []string, err error) {
	if paths, err = writeTexts(dir, table2, map[string]string{"md": t.markdown(), "tex": t.latex()}); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, table2+".json")
	return append(paths, path), outfile.WriteJSON(path, t)
}

// number returns a number with a format, or a dash if it is nil.
func number(format string, n *float64) string {
	if n == nil {
		return "-"
	}
	return fmt.Sprintf(format, *n)
}

// markdown returns a table with a line for each method and benchmark.
func (t *secondTable) markdown() string {
	var b strings.Builder
	if t.Profile == Mini {
		fmt.Fprintf(&b, "# Table II, mini profile: %s\n\n**%s**\n\n", t.Model, t.Notes[0])
	} else {
		fmt.Fprintf(&b, "# %s: %s\n\n", t.Source, t.Model)
	}
	b.WriteString("| method | benchmark | paper | ours | difference | standard error | to LoRA (95 % interval) " +
		"| questions | seeds | parameters (paper) |\n|---|---|---:|---|---:|---:|---|---:|---|---|\n")
	for _, r := range t.Rows {
		ours, questions, against := "-", "-", "-"
		if r.Ours != nil {
			ours, questions = fmt.Sprintf("%.2f", float64(r.Ours.Mean)), fmt.Sprint(r.Scores[0].N)
			if r.Ours.SD != nil {
				ours += fmt.Sprintf(" ± %.2f", *r.Ours.SD)
			}
			if d := r.Scores[0].Difference; d != nil {
				against = fmt.Sprintf("%+.2f", 100*float64(d.Value))
				if d.Interval != nil {
					against += fmt.Sprintf(" (%+.2f to %+.2f)", 100*d.Interval.Low, 100*d.Interval.High)
				}
			}
		}
		parameters := "-"
		if r.Method != "base" {
			parameters = r.Parameters.String()
		}
		if r.PaperParameters != "" && r.Method != "base" {
			parameters += " (" + r.PaperParameters + ")"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", r.Row, taskTitles[r.Task],
			number("%.2f", r.Paper), ours, number("%+.2f", r.Difference), number("%.2f", r.StdErr), against, questions,
			strings.Trim(fmt.Sprint(r.Seeds), "[]"), parameters)
	}
	for _, a := range t.Averages {
		difference := "-"
		if a.Paper != nil {
			difference = fmt.Sprintf("%+.2f", a.Ours-*a.Paper)
		}
		fmt.Fprintf(&b, "| %s | average | %s | %.2f | %s | | | | | |\n", a.Row, number("%.2f", a.Paper), a.Ours, difference)
	}
	b.WriteString("\nScores are times 100: the mean over seeds ± the sample standard deviation. The standard error is " +
		"that of one run over its questions. Parameters are those that the adapter keeps.\n\n")
	notes := t.Notes
	if t.Profile == Mini {
		notes = notes[1:]
	}
	for _, n := range notes {
		b.WriteString("* " + n + "\n")
	}
	return b.String()
}

// latex returns a table for the LaTeX package booktabs with a column for each benchmark.
func (t *secondTable) latex() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\\begin{tabular}{ll%s}\n\\toprule\nMethod &", strings.Repeat("r", len(t.tasks)+1))
	for _, task := range t.tasks {
		b.WriteString(" & " + taskTitles[task])
	}
	b.WriteString(" & Avg. \\\\\n\\midrule\n")
	for i := 0; i < len(t.Rows); i += len(t.tasks) {
		rows := t.Rows[i : i+len(t.tasks)]
		paper, ours := rows[0].Row+" & paper", " & ours"
		for _, r := range rows {
			paper += " & " + number("%.2f", r.Paper)
			if r.Ours == nil {
				ours += " & -"
				continue
			}
			ours += fmt.Sprintf(" & %.2f", float64(r.Ours.Mean))
		}
		for _, a := range t.Averages {
			if a.Method == rows[0].Method {
				paper += " & " + number("%.2f", a.Paper)
				ours += fmt.Sprintf(" & %.2f", a.Ours)
			}
		}
		b.WriteString(latexRow(t.Profile, rows[0].Row, paper, ours))
	}
	b.WriteString(latexEnd(t.Profile, t.Notes))
	return b.String()
}
