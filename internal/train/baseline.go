package train

import (
	"fmt"
	"strings"

	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/runlog"
)

// logBaseline logs the scores of a baseline that always predicts the most
// frequent class of dev. It does nothing if the run is continued, because then
// the log already has them.
func (r *run) logBaseline(fresh bool) error {
	if !fresh {
		return nil
	}
	task := r.session.Set.Task
	b := runlog.Baseline{Split: "dev", Examples: r.test.Len(), Scores: metric.Scores{}}
	m, err := r.stepper.Objective.majority(task.Metrics, r.test.Labels)
	if err != nil {
		return err
	}
	if m != nil {
		b.Label, b.Count, b.Scores = task.Labels[m.Class], m.Count, m.Scores
	}
	r.log.Baseline(b)
	return r.keep(b)
}

// compareBaseline logs the best epoch's score and the baseline's, and a warning
// if the former is not better. The console shows the comparison only if console
// is set; the caller clears it if the command prints the score anyway.
func (r *run) compareBaseline(console bool) {
	for _, line := range baselineLines(r.session.Set.Task.Select, r.bestEval(), r.baseline()) {
		if console || strings.HasPrefix(line, "warning: ") {
			r.log.Printf("%s", line)
		} else {
			r.log.Note("%s", line)
		}
	}
}

// baselineLines returns lines that compare the best evaluation with the baseline b
// by the metric named selecting, which chooses the best epoch.
func baselineLines(selecting string, best runlog.Eval, b runlog.Baseline) (lines []string) {
	score, always := metric.Number(best.Scores[selecting]), metric.Number(b.Scores[selecting])
	if !score.Defined() {
		lines = append(lines, fmt.Sprintf("warning: %s of the best epoch is undefined: the predictions or the labels of dev "+
			"are all the same, or dev has only one example", selecting))
	}
	if b.Label == "" {
		return lines
	}
	line := fmt.Sprintf("best epoch %.4g: %s %v", best.Epoch, selecting, score)
	if i := best.Intervals[selecting]; i != nil {
		line += fmt.Sprintf(" (95 %% interval %.4f to %.4f)", i.Low, i.High)
	}
	lines = append(lines,
		line+fmt.Sprintf(" on %s; always predicting %q has %v", place.Count(b.Examples, "dev example", "dev examples"),
			b.Label, always))
	if !metric.Better(metric.Merit(selecting, float64(score)), metric.Merit(selecting, float64(always))) {
		lines = append(lines, "warning: the best epoch is not better than always predicting the most frequent class; "+
			"try a higher optim.lr or more steps, and look at the examples with lor2c show")
	}
	return lines
}
