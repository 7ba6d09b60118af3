package reproduce

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat"

	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/sweep"
)

// table is Table I with our results. Scores are multiplied by 100, as in the
// paper.
type table struct {
	Profile  string    `json:"profile"`
	Source   string    `json:"source"` // where the paper's numbers come from; "" without them
	Model    string    `json:"model"`
	Rows     []row     `json:"rows"`
	Averages []average `json:"averages"` // for methods with all tasks of the table
	Notes    []string  `json:"notes"`
	tasks    []string
}

// row is a method on a task.
type row struct {
	Method string `json:"method"`
	Row    string `json:"row"` // its name in the paper
	Task   string `json:"task"`
	Metric string `json:"metric"`
	Cell   string `json:"cell"` // the runs are <cell>-seed=<seed>
	// number of grid cells it was selected from, by dev; 1 if it was fixed in advance
	SelectedFrom    int             `json:"selected_from"`
	Paper           *float64        `json:"paper"` // nil in the mini profile
	Ours            *sweep.Spread   `json:"ours"`  // nil without any defined score
	Difference      *float64        `json:"difference"`
	Scores          []metric.Number `json:"scores"` // null if the score of a run is undefined
	Seeds           []uint64        `json:"seeds"`
	Missing         int             `json:"missing"` // seeds without results
	Parameters      sweep.Range     `json:"parameters"`
	PaperParameters string          `json:"paper_parameters"` // "" in the mini profile
	Hours           float64         `json:"hours"`            // of all runs of the cell
	Device          string          `json:"device"`
}

// average is the mean of a method's means.
type average struct {
	Method string   `json:"method"`
	Row    string   `json:"row"`
	Paper  *float64 `json:"paper"` // as printed
	Ours   float64  `json:"ours"`
}

// table returns the results in the form of the paper's table.
func (j *Job) table(sum *sweep.Summary) *table {
	groups := map[string]sweep.Group{}
	for _, g := range sum.Groups {
		groups[g.Name] = g
	}
	t := &table{
		Profile: j.o.Profile, Model: j.profile.model, tasks: j.o.Tasks, Averages: []average{}}
	if j.o.Profile == Paper {
		t.Source = "Table I of arXiv:2503.00572"
	}
	paper, _ := paperTable()
	for _, p := range paper {
		if !slices.Contains(j.o.Methods, p.method) {
			continue
		}
		var means []float64
		for _, task := range j.o.Tasks {
			cell, from := p.method+"-"+task, 1
			if p.method == "imlor2c" {
				cell, from = best(j.grids[task], groups), len(j.grids[task])
			}
			r := newRow(p, task, groups[cell], j.o.Profile == Paper)
			r.SelectedFrom = from
			t.Rows = append(t.Rows, r)
			if r.Ours != nil {
				means = append(means, float64(r.Ours.Mean))
			}
		}
		if j.o.Profile == Paper && len(means) == len(p.scores) {
			t.Averages = append(t.Averages, average{p.method, p.row, &p.average, stat.Mean(means, nil)})
		}
	}
	t.Notes = j.notes()
	return t
}

// best returns the group of the point with the best mean, or the first of several.
func best(points []gridPoint, groups map[string]sweep.Group) string {
	mean := func(p gridPoint) float64 {
		if g := groups[p.group]; g.Score.N > 0 {
			return metric.Merit(g.Metric, float64(g.Score.Mean))
		}
		return math.Inf(-1)
	}
	return slices.MaxFunc(points, func(a, b gridPoint) int { return cmp.Compare(mean(a), mean(b)) }).group
}

func newRow(p paperRow, task string, g sweep.Group, compare bool) row {
	r := row{Method: p.method, Row: p.row, Task: task, Metric: g.Metric, Cell: g.Name, Missing: g.Missing,
		Parameters: g.Parameters,
		Scores:     []metric.Number{}, Seeds: []uint64{}}
	var scores []float64
	for _, run := range g.Runs {
		scores, r.Seeds = append(scores, 100*float64(run.Score)), append(r.Seeds, run.Seed)
		r.Scores = append(r.Scores, 100*run.Score)
		r.Hours += run.Seconds / 3600
		r.Device = run.Device
	}
	if s := sweep.NewSpread(scores); s.N > 0 {
		r.Ours = &s
	}
	if compare {
		score := p.scores[task]
		r.Paper, r.PaperParameters = &score, p.parameters
		if r.Ours != nil {
			d := float64(r.Ours.Mean) - score
			r.Difference = &d
		}
	}
	return r
}

// notes returns what a reader must know to compare the numbers.
func (j *Job) notes() (notes []string) {
	if j.profile.note != "" {
		notes = []string{j.profile.note,
			"IMLoR2C runs with one merge and one injection at most, unless --grid was given; then it is the best cell by dev."}
		return append(notes, j.changed()...)
	}
	notes = append(notes, "Scores are those of the best epoch on dev, as in the paper: in both the epoch is chosen on "+
		"the data that scores it.")
	if slices.Contains(j.o.Methods, "imlor2c") {
		cells := (j.profile.largest + 1) * (j.profile.largest + 1)
		text := fmt.Sprintf("The paper's IMLoR2C is the best of %d cells, M and I from 0 to %d, selected on dev for "+
			"each task. ", cells, j.profile.largest)
		if j.o.Grid {
			text += "Ours is selected in the same way, by the mean over seeds, and is optimistic in the same way."
		} else {
			text += "Ours is one cell, fixed in its run file before any run, so it does not have that advantage; --grid " +
				"runs all cells."
		}
		notes = append(notes, text, "The paper prints 85.8 as the average of IMLoR2C; the mean of its six scores is 85.95.")
	}
	if slices.Contains(j.o.Methods, "full") || slices.Contains(j.o.Methods, "lora") {
		notes = append(notes,
			"The paper quotes FF, AdptD and LoRA from others; its settings for them are not given. Ours are those of "+
				"configs/table1.")
	}
	if j.o.Model != "" {
		notes = append(notes, "The model is "+j.o.Model+"; the paper's numbers are those of RoBERTa-base.")
	}
	return append(notes, j.changed()...)
}

// changed returns a sentence about the settings that the user changed, or nothing.
func (j *Job) changed() []string {
	if len(j.o.Sets) == 0 {
		return nil
	}
	return []string{"Settings that differ from the run files: " + strings.Join(j.o.Sets, ", ") + "."}
}
