// Package report describes what a run did and why: its merges and injections
// with all candidates, scores and losses, the structure before and after,
// curves, spectra, and how several runs differ. It reads only run directories
// and writes one HTML page that needs no script and no network, or JSON,
// Markdown or CSV. The bytes depend only on the run directories.
package report

import (
	"fmt"
	"math"
	"path/filepath"

	"github.com/lor2c/lor2c/internal/figure"
	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/schedule"
)

// Report describes one or several runs. Its JSON is meant for other tools:
// layers count from 0, spans include both ends, and null is a number that is
// missing or not finite.
type Report struct {
	Runs       []*Run      `json:"runs"`
	Comparison *Comparison `json:"comparison,omitempty"` // nil for one run
}

// Read reads the directories of one or more runs, finished or not.
func Read(dirs []string) (*Report, error) {
	r := &Report{}
	for _, dir := range dirs {
		run, err := readRun(dir)
		if err != nil {
			return nil, fmt.Errorf("report: read run %s: %w", dir, err)
		}
		r.Runs = append(r.Runs, run)
	}
	nameRuns(r.Runs)
	if len(r.Runs) > 1 {
		r.Comparison = compare(r.Runs)
	}
	return r, nil
}

// nameRuns names each run by the shortest end of its path that is different for
// every run.
func nameRuns(runs []*Run) {
	names := map[string]int{}
	for _, run := range runs {
		names[filepath.Base(run.dir)]++
	}
	for _, run := range runs {
		run.Name = filepath.Base(run.dir)
		if names[run.Name] > 1 {
			run.Name = filepath.ToSlash(filepath.Join(filepath.Base(filepath.Dir(run.dir)), run.Name))
		}
	}
}

// Figures returns every figure of the report. That of the comparison comes
// first.
func (r *Report) Figures() (figures []figure.Figure) {
	if r.Comparison != nil {
		figures = append(figures, r.overlay()...)
	}
	for i, run := range r.Runs {
		of := run.figures()
		all := []*figure.Figure{of.Timeline, of.Structure, of.Scores, of.Spectra, of.Parameters, of.Increase}
		for _, several := range [][]figure.Figure{of.Events, of.Sharing, of.Ranks} {
			for j := range several {
				all = append(all, &several[j])
			}
		}
		for _, f := range all {
			if f == nil {
				continue
			}
			if len(r.Runs) > 1 {
				f.Name = fmt.Sprintf("run%d-%s", i+1, f.Name)
			}
			figures = append(figures, *f)
		}
	}
	return figures
}

// number is a number that may be missing, which is null in JSON.
type number = metric.Number

// pointed returns *p, or a missing number if p is nil.
func pointed(p *float64) number {
	if p == nil {
		return number(math.NaN())
	}
	return number(*p)
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// spanName returns the layers of a span, such as "8" or "8–10".
func spanName(s schedule.Span) string { return figure.SpanName(s.First, s.Last) }
