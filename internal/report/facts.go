package report

import (
	"fmt"
	"strings"

	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/figure"
	"github.com/lor2c/lor2c/internal/place"
)

// fact is a named value.
type fact struct{ Name, Value string }

// tiles returns the numbers at the top of the page.
func (r *Run) tiles() []fact {
	best := fact{"best " + r.Metric, none}
	if r.Best != nil {
		best.Value = fixed(r.score(r.Best), 4)
		best.Name += ", epoch " + epoch(r.Best.Epoch)
	}
	tiles := []fact{best}
	if i := r.interval(); i != none {
		tiles = append(tiles, fact{"95 % interval over " + place.Count(r.examples(), "dev example", "dev examples"), i})
	}
	if always := r.baseline(); finite(always) {
		tiles = append(tiles, fact{fmt.Sprintf("%s of always %q", r.Metric, r.Baseline.Label), fixed(always, 4)})
	}
	if n := len(r.Parameters); n > 0 {
		value := figure.Thousands(r.Parameters[0].Count)
		if n > 1 {
			value += " → " + figure.Thousands(r.Parameters[n-1].Count)
		}
		tiles = append(tiles, fact{"scalars of the adapter", value})
	}
	if r.Plan != nil {
		tiles = append(tiles, fact{"merges carried out", fmt.Sprintf("%d of %d", r.executed("merge"), r.Plan.MaxMerges)},
			fact{"injections carried out", fmt.Sprintf("%d of %d", r.executed("inject"), r.Plan.MaxInjects)})
	}
	return tiles
}

// extent returns the planned length of a run.
func extent(t config.Train) fact {
	if t.MaxSteps > 0 {
		return fact{"steps, batch size", fmt.Sprintf("%d, %d", t.MaxSteps, t.BatchSize)}
	}
	return fact{"epochs, batch size", fmt.Sprintf("%d, %d", t.Epochs+t.AddedEpochs(), t.BatchSize)}
}

// facts returns the settings and circumstances of a run.
func (r *Run) facts() []fact {
	c := r.config
	facts := []fact{
		{"method", r.Method},
		{"model", r.Model},
		{"task", r.Task},
		extent(c.Train),
		{"learning rate", fmt.Sprintf("%g", c.Optim.LR)},
		{"seed", fmt.Sprint(r.Seed)},
	}
	for _, key := range []string{"rank", "alpha"} {
		if c.Method.Takes(key) {
			facts[0].Value += fmt.Sprintf(", %s %v", key, c.Method.Value(key))
		}
	}
	if r.Plan != nil {
		_, name := r.scoring()
		facts = append(facts, fact{"score", name})
	}
	for _, f := range []fact{{"device", r.env.Device}, {"processor", r.env.CPU},
		{"lor2c", strings.TrimSpace(r.env.Version + " " + r.revision())}} {
		if f.Value != "" {
			facts = append(facts, f)
		}
	}
	return facts
}

// examples returns the number of examples of dev, or 0 if it was not logged.
func (r *Run) examples() int {
	if r.Baseline == nil {
		return 0
	}
	return r.Baseline.Examples
}

func (r *Run) revision() string {
	revision := r.env.Revision
	if revision = revision[:min(12, len(revision))]; revision != "" && r.env.Modified {
		revision += " with changes"
	}
	return revision
}
