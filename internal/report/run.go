package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/identity"
	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/runlog"
	"github.com/lor2c/lor2c/internal/schedule"
)

// Run describes one run.
type Run struct {
	Name         string            `json:"name"`
	Method       string            `json:"method"`
	Task         string            `json:"task"`
	Model        string            `json:"model"`
	Seed         uint64            `json:"seed"`
	Epochs       int               `json:"epochs"` // planned
	Finished     bool              `json:"finished"`
	LastStep     int               `json:"last_step"` // of the last record
	Metric       string            `json:"metric"`    // by which the best epoch was selected
	Best         *Eval             `json:"best"`      // nil before the first evaluation
	Notes        []string          `json:"notes"`     // what a reader must know about the input
	Plan         *schedule.Plan    `json:"plan"`      // nil if none was logged
	Baseline     *runlog.Baseline  `json:"baseline"`  // nil if none was logged
	Operations   []Operation       `json:"operations"`
	Events       []Event           `json:"events"`
	Ties         []schedule.Tie    `json:"ties,omitempty"`
	Ranks        []schedule.Ranks  `json:"ranks,omitempty"`
	Correlations []Correlation     `json:"harm"`
	Parameters   []Count           `json:"parameters"`
	Scores       []Scores          `json:"scores"`
	Evals        []Eval            `json:"evals"`
	Results      map[string]number `json:"results"`

	dir     string
	config  *config.Config
	made    *identity.Manifest // what the run was made from; nil if it is not known
	env     runlog.Env
	lines   [][]byte
	train   []runlog.Train
	spectra []schedule.Spectrum
	layers  int
}

// Eval is an evaluation of a split.
type Eval struct {
	Step   int               `json:"step"`
	Epoch  float64           `json:"epoch"`
	Split  string            `json:"split"`
	Loss   number            `json:"loss"`
	Scores map[string]number `json:"scores"`
	Best   bool              `json:"best"`
	// Intervals are 95 % bootstrap intervals of Scores, if they were logged.
	Intervals map[string]*metric.Interval `json:"interval_95,omitempty"`
}

// Count is the number of scalars of the adapter from a step on.
type Count struct {
	Step  int     `json:"step"`
	Epoch float64 `json:"epoch"`
	Count int     `json:"count"`
}

func (r *Run) note(format string, a ...any) { r.Notes = append(r.Notes, fmt.Sprintf(format, a...)) }

// build fills r from the records of its log.
func (r *Run) build(records []runlog.Record) {
	c := r.config
	r.Method, r.Task, r.Model, r.Seed = methodName(c), c.Data.Task, c.Model, c.Seed
	r.Epochs = c.Train.Epochs + c.Train.AddedEpochs()
	r.Metric = r.selecting()
	var events []schedule.Event
	for _, record := range records {
		switch rec := record.(type) {
		case schedule.Plan:
			r.Plan, r.LastStep = &rec, rec.Step
		case runlog.Baseline:
			r.Baseline = &rec
		case runlog.Train:
			r.train, r.LastStep = append(r.train, rec), rec.Step
		case runlog.Eval:
			r.eval(rec)
		case schedule.Spectrum:
			r.spectra, r.LastStep = append(r.spectra, rec), rec.Step
		case schedule.Event:
			events = append(events, rec)
		case schedule.Tie:
			r.Ties, r.LastStep = append(r.Ties, rec), rec.Step
		case schedule.Ranks:
			r.Ranks, r.LastStep = append(r.Ranks, rec), rec.Step
		}
	}
	r.layers = layerCount(r.Plan, r.spectra)
	r.measure()
	r.Parameters = []Count{}
	if r.Plan != nil {
		r.Parameters = append(r.Parameters, Count{0, 0, r.Plan.Parameters})
	}
	r.Events, r.Scores = []Event{}, append([]Scores{}, r.Scores...)
	for i, e := range events {
		r.Events = append(r.Events, newEvent(i+1, e))
		r.Parameters = append(r.Parameters, Count{e.Step, e.Epoch, e.ParametersAfter})
	}
	for i, t := range r.Ties {
		if i == 0 {
			r.Parameters = append(r.Parameters, Count{0, 0, t.ParametersBefore})
		}
		r.Parameters = append(r.Parameters, Count{t.Step, t.Epoch, t.ParametersAfter})
	}
	for _, at := range r.Ranks {
		r.Parameters = append(r.Parameters, Count{at.Step, at.Epoch, at.Parameters})
	}
	r.Correlations = correlations(r.Events)
	r.Operations = r.operations()
	if len(r.Events) == 0 && r.plansEvents() {
		r.note("%s", r.whyNoEvents())
	}
	if always := r.baseline(); r.Best != nil && finite(always) &&
		!metric.Better(metric.Merit(r.Metric, r.score(r.Best)), metric.Merit(r.Metric, always)) {
		r.note("The best epoch is not better than always predicting %q, the most frequent class of dev: %s against %s.",
			r.Baseline.Label, fixed(r.score(r.Best), 4), fixed(always, 4))
	}
	if !r.Finished {
		r.note("The run is not finished: its last record is of step %d.", r.LastStep)
	}
}

// plansEvents reports whether the run was to merge or to replace modules.
func (r *Run) plansEvents() bool {
	if r.Plan == nil {
		return r.config.Method.Changes() && r.config.Schedule.MaxMerges+r.config.Schedule.MaxInjects > 0
	}
	return len(r.Plan.Merges)+len(r.Plan.Injects) > 0
}

// whyNoEvents returns the reason for which planned merges and injections did not happen.
func (r *Run) whyNoEvents() string {
	switch {
	case !r.Finished:
		return "There are no events so far."
	case r.Plan == nil:
		return "There are no events, and no schedule was logged: the run was written before schedules existed."
	}
	return "There are no events, although the schedule has some: no operation found a candidate."
}

// methodName returns the name of a method. Variants of LoR2C have the paper's
// names.
func methodName(c *config.Config) string {
	name := c.Method.Name()
	switch merges, injects := c.Schedule.MaxMerges > 0, c.Schedule.MaxInjects > 0; {
	case merges && injects:
		name = "im" + name
	case merges:
		name = "merge" + name
	case injects:
		name = "inject" + name
	}
	return c.Method.Variant() + name
}

// selecting returns the metric that selects the best epoch: the configured one,
// or the first metric of the task, which is also the first one in the record of
// an evaluation.
func (r *Run) selecting() string {
	if r.config.Data.Metric != "" {
		return r.config.Data.Metric
	}
	own := []string{"kind", "step", "epoch", "split", "loss", "interval_95", "best"}
	for _, line := range r.lines {
		if !bytes.HasPrefix(line, []byte(`{"kind":"eval"`)) {
			continue
		}
		d := json.NewDecoder(bytes.NewReader(line))
		d.Token() // the brace; the line was read as an object before
		for d.More() {
			name, _ := d.Token()
			d.Token() // its value: a string, number or bool
			if !slices.Contains(own, name.(string)) {
				return name.(string)
			}
		}
		break
	}
	return "loss"
}

func (r *Run) eval(e runlog.Eval) {
	r.LastStep = e.Step
	eval := Eval{e.Step, e.Epoch, e.Split, number(e.Loss), map[string]number{}, e.Best, e.Intervals}
	for _, name := range slices.Sorted(maps.Keys(e.Scores)) {
		eval.Scores[name] = number(e.Scores[name])
	}
	r.Evals = append(r.Evals, eval)
	if e.Best {
		r.Best = &eval
	}
}

// score returns the value of the selecting metric in an evaluation.
func (r *Run) score(e *Eval) float64 {
	if e == nil {
		return math.NaN()
	}
	if v, ok := e.Scores[r.Metric]; ok {
		return float64(v)
	}
	return float64(e.Loss)
}

// interval returns the interval of the selecting metric in the best epoch as
// text.
func (r *Run) interval() string {
	if r.Best == nil || r.Best.Intervals[r.Metric] == nil {
		return none
	}
	i := r.Best.Intervals[r.Metric]
	return fixed(i.Low, 4) + " to " + fixed(i.High, 4)
}

// baseline returns the score of always predicting the most frequent class, by
// the selecting metric, or NaN if it is not known.
func (r *Run) baseline() float64 {
	if r.Baseline == nil {
		return math.NaN()
	}
	if v, ok := r.Baseline.Scores[r.Metric]; ok {
		return v
	}
	return math.NaN()
}

// layerCount returns the number of layers of the base according to the records.
func layerCount(plan *schedule.Plan, spectra []schedule.Spectrum) int {
	if plan != nil {
		return plan.Layers
	}
	n := 0
	for _, s := range spectra {
		for _, m := range s.Modules {
			n = max(n, m.Last+1)
		}
	}
	return n
}
