package report

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/figure"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/schedule"
)

// figures are the figures of a run. A figure is nil if there is no data for it.
type figures struct {
	Timeline, Structure, Scores, Spectra, Parameters, Increase *figure.Figure
	Events, Sharing, Ranks                                     []figure.Figure
}

func (r *Run) figures() figures {
	f := figures{
		Timeline: r.timeline(), Structure: r.stages(), Scores: r.strip(), Spectra: r.spectraGrid(),
		Parameters: r.parameters(), Increase: r.scatter(), Sharing: r.sharing(), Ranks: r.rankStrips(),
	}
	for _, e := range r.Events {
		f.Events = append(f.Events, r.beforeAfter(e))
	}
	return f
}

// source returns the end of every caption, which names the run and says that it
// is a single one.
func (r *Run) source() string {
	return fmt.Sprintf("One run: %s on %s, %s, seed %d.", r.Method, r.Task, filepath.Base(r.Model), r.Seed)
}

func (r *Run) marks() (marks []figure.Mark) {
	for _, e := range r.Events {
		marks = append(marks, figure.Mark{Epoch: e.Epoch, Action: e.Action, Label: spanName(e.Span)})
	}
	for i, t := range r.Ties {
		if i == 0 || r.Ties[i-1].Step != t.Step {
			marks = append(marks, figure.Mark{Epoch: t.Epoch, Action: "merge"})
		}
	}
	return marks
}

// lossCurve returns the training loss over epochs.
func (r *Run) lossCurve(name string, colour int) figure.Series {
	s := figure.Series{Name: name, Colour: colour}
	for _, t := range r.train {
		s.X, s.Y = append(s.X, t.Epoch), append(s.Y, t.Loss)
	}
	return s
}

// evalCurve returns a value of evaluations over epochs. of names the score
// whose intervals are drawn; if it is "" there are no intervals.
func (r *Run) evalCurve(name, split, of string, colour int, value func(*Eval) float64) figure.Series {
	s := figure.Series{Name: name, Colour: colour, Points: true}
	for i := range r.Evals {
		if e := &r.Evals[i]; e.Split == split {
			s.X, s.Y = append(s.X, e.Epoch), append(s.Y, value(e))
			low, high := math.NaN(), math.NaN()
			if i := e.Intervals[of]; i != nil {
				low, high = i.Low, i.High
			}
			s.Low, s.High = append(s.Low, low), append(s.High, high)
		}
	}
	return s
}

func evalLoss(e *Eval) float64 { return float64(e.Loss) }

// split returns the split whose evaluations the curves show.
func (r *Run) split() string {
	for _, e := range r.Evals {
		if e.Split != "dev" {
			continue
		}
		return "dev"
	}
	if len(r.Evals) > 0 {
		return r.Evals[0].Split
	}
	return "dev"
}

func (r *Run) timeline() *figure.Figure {
	if len(r.train)+len(r.Evals) == 0 {
		return nil
	}
	split := r.split()
	panels := []figure.Panel{{YLabel: "loss",
		Series: []figure.Series{r.lossCurve("train loss", 5), r.evalCurve(split+" loss", split, "", 0, evalLoss)}}}
	caption := "Loss and " + r.Metric + " over epochs"
	if n := r.examples(); n > 0 {
		caption += fmt.Sprintf(", on %d %s examples", n, split)
	}
	caption += ". "
	if r.Metric != "loss" && len(r.Evals) > 0 {
		panel := figure.Panel{YLabel: r.Metric,
			Series: []figure.Series{r.evalCurve(split+" "+r.Metric, split, r.Metric, 2, r.score)}}
		if r.interval() != none {
			caption += "Vertical lines at the points are 95 % bootstrap intervals over these examples. "
		}
		if always := r.baseline(); finite(always) {
			panel.Levels = []figure.Level{{Name: fmt.Sprintf("always %q", r.Baseline.Label), Value: always}}
			caption += "The dashed level is the score of always predicting the most frequent class. "
		}
		panels = append(panels, panel)
	}
	caption += cutText(panels)
	switch {
	case len(r.Ties) > 0:
		caption += "Vertical dashed lines are steps after which layers began to share a factor. "
	case len(r.Events) > 0:
		caption += "Vertical dashed lines are merges and injections, with their layers above. "
	}
	f := figure.Lines(figure.Chart{Name: "timeline", Title: "Training of " + r.Name, Caption: caption + r.source(),
		Panels: panels, Marks: r.marks()})
	return &f
}

// cutText returns the sentence that explains the mark of an axis that does not
// begin at zero, or "" if there is no such axis.
func cutText(panels []figure.Panel) string {
	if slices.ContainsFunc(panels, figure.Panel.Cut) {
		return "Two strokes at the foot of an axis say that it does not begin at zero. "
	}
	return ""
}

func (r *Run) parameters() *figure.Figure {
	if len(r.Parameters) < 2 {
		return nil
	}
	s := figure.Series{Name: "adapter", Steps: true, Colour: 3}
	for _, p := range r.Parameters {
		s.X, s.Y = append(s.X, p.Epoch), append(s.Y, float64(p.Count))
	}
	if n := len(r.train); n > 0 {
		s.X, s.Y = append(s.X, r.train[n-1].Epoch), append(s.Y, s.Y[len(s.Y)-1])
	}
	f := figure.Lines(figure.Chart{Name: "parameters", Title: "Trainable scalars of the adapter", Marks: r.marks(),
		Caption: "Scalars of the adapter, the classification head not counted. " + r.source(),
		Panels:  []figure.Panel{{YLabel: "scalars", Zero: true, Series: []figure.Series{s}}}})
	return &f
}

func (r *Run) strip() *figure.Figure {
	if len(r.Scores) == 0 {
		return nil
	}
	_, name := r.scoring()
	s := figure.Strip{Name: "scores", Title: "Score of every module over time", Score: name, Layers: r.layers,
		Caption: name + " of every module at the end of each epoch and before every planned event. A merged module is " +
			"one cell over its layers; " +
			"hatched layers have LoRA in place of a module. " + r.source()}
	for _, at := range r.Scores {
		column := figure.StripColumn{Epoch: at.Epoch}
		for _, m := range at.Modules {
			column.Modules = append(column.Modules, figure.ScoredSpan{First: m.First, Last: m.Last, Score: float64(m.Score)})
		}
		s.Columns = append(s.Columns, column)
	}
	f := figure.HeatStrip(s)
	return &f
}

func (r *Run) spectraGrid() *figure.Figure {
	if len(r.spectra) == 0 {
		return nil
	}
	g := figure.SpectraGrid{Name: "spectra", Title: "Singular values of every module",
		Caption: "Singular values of BA, without the scale alpha/r, one line per measurement, the faintest of epoch " +
			epoch(r.spectra[0].Epoch) + " and the strongest of epoch " +
			epoch(r.spectra[len(r.spectra)-1].Epoch) +
			". They are computed from float32 Gram matrices: values below a thousandth of a module's largest are noise. " +
			r.source()}
	index := map[schedule.Span]int{}
	for _, s := range r.spectra {
		for _, m := range s.Modules {
			i, ok := index[m.Span]
			if !ok {
				i = len(g.Modules)
				index[m.Span] = i
				g.Modules = append(g.Modules, figure.ModuleSpectra{Name: layersText(m.Span), Merged: m.Last > m.First})
			}
			g.Modules[i].Epochs, g.Modules[i].Values = append(g.Modules[i].Epochs, s.Epoch), append(g.Modules[i].Values,
				m.Singular)
		}
	}
	f := figure.SmallSpectra(g)
	return &f
}

// layersText returns the name of a module, which consists of its layers.
func layersText(s schedule.Span) string {
	if s.First == s.Last {
		return "layer " + spanName(s)
	}
	return "layers " + spanName(s)
}

func (r *Run) scatter() *figure.Figure {
	_, name := r.scoring()
	s := figure.Cross{Name: "harm", Title: "Does the score predict the loss increase?", XLabel: "score of the candidate",
		YLabel: "change of the what-if loss"}
	events := 0
	for _, action := range []string{"merge", "inject"} {
		cloud := figure.Cloud{Action: action}
		for _, e := range r.Events {
			if e.Action != action {
				continue
			}
			before := len(cloud.X)
			for _, c := range e.Candidates {
				if finite(float64(c.Score)) && finite(float64(c.Increase)) {
					cloud.X, cloud.Y = append(cloud.X, float64(c.Score)), append(cloud.Y, float64(c.Increase))
					cloud.Chosen = append(cloud.Chosen, c.Winner)
				}
			}
			if len(cloud.X) > before {
				events++
			}
		}
		if len(cloud.X) == 0 {
			continue
		}
		for _, c := range r.Correlations {
			if c.Event == 0 && c.Action == action {
				cloud.Note = c.text()
			}
		}
		s.Clouds = append(s.Clouds, cloud)
	}
	if len(s.Clouds) == 0 {
		return nil
	}
	s.Caption = fmt.Sprintf("The change of the loss of the what-if sample that each candidate would cause, against "+
		"its %s (the sum of two for a merge). Chosen candidates are ringed. "+
		"Candidates of %s, which share modules and are not independent; p is computed as if they were. ", name,
		place.Count(events, "event", "events")) + r.source()
	f := figure.Scatter(s)
	return &f
}

// overlay returns a figure with the curves of all runs.
func (r *Report) overlay() []figure.Figure {
	loss, score := figure.Panel{YLabel: "train loss"}, figure.Panel{}
	metric := r.Runs[0].Metric
	for i, run := range r.Runs {
		if len(run.train) > 0 {
			loss.Series = append(loss.Series, run.lossCurve(run.Name, i))
		}
		if len(run.Evals) > 0 && run.Metric == metric {
			score.Series = append(score.Series, run.evalCurve(run.Name, run.split(), metric, i, run.score))
		}
	}
	chart := figure.Chart{Name: "comparison", Title: "The runs side by side"}
	if len(loss.Series) > 0 {
		chart.Panels = append(chart.Panels, loss)
	}
	if len(score.Series) > 0 {
		score.YLabel = r.Runs[0].split() + " " + metric
		chart.Panels = append(chart.Panels, score)
	}
	if len(chart.Panels) == 0 {
		return nil
	}
	var names []string
	for _, run := range r.Runs {
		names = append(names, run.Name)
	}
	chart.Caption = fmt.Sprintf("One run each of %s. ", strings.Join(names, ", ")) + cutText(chart.Panels)
	if len(score.Series) < len(r.Runs) {
		chart.Caption += fmt.Sprintf("The lower panel leaves out runs without evaluation and those whose best epoch is "+
			"not selected by %s.", metric)
	}
	return []figure.Figure{figure.Lines(chart)}
}
