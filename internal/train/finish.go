package train

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/runlog"
)

// Outcome is the result of a finished run.
type Outcome struct {
	Out       string
	BestEpoch float64 // passes over the training data
	BestStep  int
	Select    string     // the score by which the best epoch was chosen
	Dev       Evaluation // of the best epoch: its loss, scores and their intervals
	Baseline  runlog.Baseline
	Trainable int // scalars of the adapter without the head
}

// finish ends a run that has taken its last step: it compares the best epoch with the baseline, writes the adapter of
// the last step to final/ and the result files, and logs the record that ends the standard output. json says that
// standard output has records instead of lines.
func (r *run) finish(ctx context.Context, json bool) (*Outcome, error) {
	r.stepper.Method.Finish(methodRun{r, ctx})
	best, baseline := r.bestEval(), r.baseline()
	o := &Outcome{
		Out: r.out, BestEpoch: r.state.Best.Epoch, BestStep: r.state.Best.Step, Select: r.session.Set.Task.Select,
		Trainable: adapter.Count(r.stepper.Method.Params()),
		Dev:       Evaluation{Loss: best.Loss, Scores: best.Scores, Intervals: best.Intervals}, Baseline: baseline,
	}
	if r.follows() {
		return o, nil
	}
	r.compareBaseline(best, baseline, json)
	if err := r.bestGone(); err != nil {
		return nil, err
	}
	err := checkpoint.WriteDir(filepath.Join(r.out, finalDir), func(tmp string) error {
		if err := r.identity.Write(tmp); err != nil {
			return err
		}
		return adapter.Save(tmp, r.dev, r.description, r.stepper.Method, r.stepper.Model.Head())
	})
	if err != nil {
		return nil, err
	}
	err = r.log.Finish(runlog.Results{
		Epoch: r.epochs(r.state.Step), TrainLoss: r.state.TotalLoss / float64(r.state.Step),
		TrainSamples: r.train.Len(), Evals: []runlog.Eval{best},
	})
	if err != nil {
		return nil, err
	}
	r.log.Result(runlog.Result{
		Step: r.steps, Out: o.Out, BestStep: o.BestStep, BestEpoch: o.BestEpoch, Metric: o.Select,
		Loss: metric.Number(best.Loss), Scores: best.Scores,
		Adapter: filepath.Join(r.out, bestLink), Final: filepath.Join(r.out, finalDir), Trainable: o.Trainable,
	})
	return o, nil
}

// bestEval returns the record of the best evaluation so far, or the zero value.
func (r *run) bestEval() (found runlog.Eval) {
	for _, rec := range r.log.Records() {
		if e, ok := rec.(runlog.Eval); ok && e.Best {
			found = e
		}
	}
	return found
}

// baseline returns the baseline that the run has logged, or the zero value if the
// log has none.
func (r *run) baseline() (found runlog.Baseline) {
	for _, rec := range r.log.Records() {
		if b, ok := rec.(runlog.Baseline); ok {
			found = b
		}
	}
	return found
}

// compareBaseline logs the best epoch's score and the baseline's, and a warning
// if the former is not better. The console shows the comparison only if console
// is set; the caller clears it if the command prints the score anyway.
func (r *run) compareBaseline(best runlog.Eval, b runlog.Baseline, console bool) {
	for _, line := range baselineLines(r.session.Set.Task.Select, best, b) {
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
