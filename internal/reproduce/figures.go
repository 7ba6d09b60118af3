package reproduce

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/figure"
	"github.com/lor2c/lor2c/internal/outfile"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/runlog"
	"github.com/lor2c/lor2c/internal/schedule"
	"github.com/lor2c/lor2c/internal/sweep"
)

// source returns the description of where the numbers of a figure come from.
func (j *Job) source(note string) figure.Source {
	s := figure.Source{Model: j.profile.model, Runs: len(j.Cells), Seeds: j.o.Seeds,
		Note: strings.Join(slices.DeleteFunc(append([]string{note, j.profile.note}, j.changed()...), isEmpty), " ")}
	if len(j.o.Tasks) == 1 {
		s.Task = taskTitles[j.o.Tasks[0]]
	}
	return s
}

func isEmpty(s string) bool { return s == "" }

// draw writes a figure as PNG and SVG, and the data that it was drawn from as
// JSON.
func (j *Job) draw(f figure.Figure, data any) ([]string, error) {
	if err := figure.WriteFiles(j.o.Out, []figure.Figure{f}); err != nil {
		return nil, err
	}
	base := filepath.Join(j.o.Out, f.Name)
	err := outfile.WriteJSON(base+".json", map[string]any{"profile": j.o.Profile, "caption": f.Caption, "data": data})
	return []string{base + ".json", base + ".png", base + ".svg"}, err
}

// wholeEpoch returns the index, from 0, of the epoch that ends at a record. ok
// is false if none does.
func wholeEpoch(epoch float64) (int, bool) {
	return int(epoch) - 1, epoch == math.Trunc(epoch) && epoch >= 1
}

// fig2 draws the spectra at the ends of epochs, averaged over all seeds.
func (j *Job) fig2() ([]string, error) {
	var s figure.Spectra
	for _, c := range j.Cells {
		records, err := j.records(c)
		if err != nil {
			return nil, err
		}
		for _, record := range records {
			rec, ok := record.(schedule.Spectrum)
			if !ok {
				continue
			}
			e, ok := wholeEpoch(rec.Epoch)
			if !ok {
				continue
			}
			for e >= len(s.Values) {
				s.Values, s.Epochs = append(s.Values, nil), append(s.Epochs, float64(len(s.Epochs)+1))
			}
			for _, m := range rec.Modules {
				s.Values[e] = append(s.Values[e], m.Singular)
				s.Rank = len(m.Singular)
			}
		}
	}
	if s.Values == nil {
		return nil, fmt.Errorf("reproduce: draw fig2: no run with spectra is done; see %s", j.Out)
	}
	s.Most = min(50, s.Rank)
	s.Source = j.source("The paper has W of 768 x 128 and does not say how it was made; here LoR2C has alpha equal to " +
		"its rank, so that W acts unscaled.")
	return j.draw(figure.Fig2(s),
		map[string]any{"epochs": s.Epochs, "rank": s.Rank, "singular_values_by_epoch_and_module": s.Values})
}

// records returns the records of a run that is done.
func (j *Job) records(c sweep.Cell) ([]runlog.Record, error) { return runlog.ReadMetrics(j.Dir(c)) }

// fig7 draws the mean gradients of LoR2C divided by those of LoRA.
func (j *Job) fig7() ([]string, error) {
	sums := map[string][][]mean{} // indexed by method, then by epoch and layer
	for _, c := range j.Cells {
		records, err := j.records(c)
		if err != nil {
			return nil, err
		}
		method, _, _ := strings.Cut(c.Name, "-")
		for _, record := range records {
			rec, ok := record.(runlog.Gradient)
			if !ok {
				continue
			}
			e, ok := wholeEpoch(rec.Epoch)
			if !ok {
				continue
			}
			for e >= len(sums[method]) {
				sums[method] = append(sums[method], make([]mean, len(rec.Layers)))
			}
			for i, l := range rec.Layers {
				sums[method][e][i].add(l.A)
				sums[method][e][i].add(l.B)
			}
		}
	}
	ours, theirs := sums["lor2c"], sums["lora"]
	if ours == nil || len(ours) != len(theirs) {
		return nil, fmt.Errorf("reproduce: draw fig7: gradients of %s for lor2c and %d for lora; want equal runs "+
			"that are done, see %s", place.Count(len(ours), "epoch", "epochs"), len(theirs), j.Out)
	}
	ratio := make([][]float64, len(ours))
	for e, layers := range ours {
		for i, m := range layers {
			ratio[e] = append(ratio[e], m.value()/theirs[e][i].value())
		}
	}
	return j.draw(figure.Fig7(ratio,
		j.source("LoRA acts on query and value, with the rank and alpha of LoR2C. The paper does not say the task of its "+
			"figure.")),
		map[string]any{"ratio_by_epoch_and_layer": ratio})
}

// mean accumulates a mean over the elements of several tensors.
type mean struct{ sum, count float64 }

func (m *mean) add(x runlog.MeanAbsolute) {
	m.sum += x.Abs * float64(x.Count)
	m.count += float64(x.Count)
}

func (m mean) value() float64 { return m.sum / m.count }

// gridCell is a cell of Fig. 6 in the JSON file of the figure.
type gridCell struct {
	Task     string         `json:"task"`
	Merges   int            `json:"merges"`  // at most
	Injects  int            `json:"injects"` // at most
	Metric   string         `json:"metric"`
	Score    *sweep.Spread  `json:"score"`    // nil without a defined score
	Executed map[string]any `json:"executed"` // ranges over the seeds
}

// fig6 draws a grid for each task.
func (j *Job) fig6(sum *sweep.Summary) ([]string, error) {
	groups := map[string]sweep.Group{}
	for _, g := range sum.Groups {
		groups[g.Name] = g
	}
	var grids []figure.Grid
	var data []gridCell
	for _, task := range j.o.Tasks {
		grids = append(grids, j.grid(task, groups))
		for _, p := range j.grids[task] {
			g := groups[p.group]
			c := gridCell{Task: task, Merges: p.merges, Injects: p.injects, Metric: g.Metric}
			if g.Score.N > 0 {
				c.Score, c.Executed = &g.Score, map[string]any{"merges": g.Merges.Executed, "injects": g.Injects.Executed}
			}
			data = append(data, c)
		}
	}
	note := ""
	if len(j.o.Seeds) == 1 {
		note = "One run per cell: two cells differ by chance as much as two seeds of the same cell do."
	}
	return j.draw(figure.Fig6(grids, j.source(note)), data)
}

// grid returns the cells of a task by injections and merges.
func (j *Job) grid(task string, groups map[string]sweep.Group) figure.Grid {
	n := j.profile.largest + 1
	g := figure.Grid{Task: taskTitles[task], Values: make([][]float64, n), Executed: make([][]figure.Executed, n)}
	for i := range n {
		g.Values[i], g.Executed[i] = slices.Repeat([]float64{math.NaN()}, n), make([]figure.Executed, n)
	}
	for _, p := range j.grids[task] {
		r := groups[p.group]
		if r.Score.N == 0 {
			continue
		}
		g.Metric = r.Metric
		g.Values[p.injects][p.merges] = float64(r.Score.Mean)
		// The cell has the smallest number over the seeds, which all its runs
		// carried out.
		g.Executed[p.injects][p.merges] = figure.Executed{Injects: r.Injects.Executed.Min, Merges: r.Merges.Executed.Min}
	}
	return g
}
