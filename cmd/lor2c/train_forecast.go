package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/terminal"
	"github.com/lor2c/lor2c/internal/train"
)

// forecast prints what a run needs and does.
func forecast(c *cobra.Command, cfg *config.Config, dev compute.Device, o trainOptions) error {
	f, err := train.Predict(c.Context(), cfg, train.ForecastOptions{Device: dev, Budget: o.budget})
	if f == nil {
		return err
	}
	if !o.json {
		printForecast(screenOfStdout(c), f)
		return err
	}
	e := json.NewEncoder(c.OutOrStdout())
	e.SetEscapeHTML(false)
	if failed := e.Encode(f); failed != nil {
		return failed
	}
	return err
}

// printForecast writes a forecast as text.
func printForecast(s *terminal.Screen, f *train.Forecast) {
	line := func(format string, a ...any) { s.Print(terminal.Plain, fmt.Sprintf(format, a...), 2) }
	w, m := f.Work, f.Memory
	line("data: %s, %d train, %d dev", f.Task, w.TrainExamples, w.DevExamples)
	line("method: %s on %s; %s, head %d", f.Method, f.Device, place.Count(w.Adapter, "scalar", "scalars"), w.Head)
	line("steps: %d, %d an epoch; %d tokens; %s", w.Steps, w.PerEpoch, w.Tokens,
		place.Count(w.Evaluations, "evaluation", "evaluations"))
	if len(w.Schedule) > 0 {
		line("schedule: %s", scheduled(f))
	}
	line("memory:")
	row := func(name string, bytes int64, about string) {
		line("  %-20s %10s%s", name, place.Bytes(bytes), about)
	}
	row("frozen weights", m.Weights, "")
	row("trained parameters", m.Parameters, "")
	row("gradients", m.Gradients, "")
	row("AdamW's moments", m.Moments, "")
	row("method and reports", m.Other, "")
	about := fmt.Sprintf("  %s, %s", place.Count(m.Examples, "example", "examples"),
		place.Count(m.Tokens, "token", "tokens"))
	if m.Evaluation {
		about = "  of an evaluation"
	}
	row("activations", m.Activations, about)
	row("total", m.Total, free(m))
	if m.Largest != nil {
		line("largest micro-batch: %s", place.Count(*m.Largest, "example of the greatest length", "of the longest examples"))
	}
	for _, change := range m.Changes {
		line("fits with %s: %s", change.Set, place.Bytes(change.Memory))
	}
	line("disk: %s a checkpoint, %d kept, %s in all with final/", place.Bytes(f.Disk.Checkpoint), f.Disk.Kept,
		place.Bytes(f.Disk.Total))
	if t := f.Time; t != nil {
		line("time: %s, %s to %s at the pace of the fastest and slowest of %s; %.3g s a step, %.3g s an evaluation, "+
			"%.0f tok/s", duration(t.Seconds), duration(t.Low), duration(t.High), place.Count(t.Measured, "step", "steps"),
			t.Step, t.Evaluation, t.Tokens)
	}
	printChoice(line, f)
	for _, note := range f.Notes {
		s.Print(terminal.Warning, note, 2)
	}
	if f.Continues {
		line("note: %s has a run, which lor2c train continues; the times are those of a whole run", f.Out)
	}
}

// printChoice writes how the run stays within its budget.
func printChoice(line func(string, ...any), f *train.Forecast) {
	b := f.Budget
	if b == nil || f.Time == nil {
		return
	}
	for _, tried := range b.Tried {
		line("micro-batch of %s: %.0f tok/s, %s", place.Count(tried.MicroBatch, "example", "examples"), tried.Tokens,
			place.Bytes(tried.Memory))
	}
	change := ""
	if len(b.Set) > 0 {
		change = " with --set " + strings.Join(b.Set, " --set ")
	}
	budget := duration(b.Seconds)
	switch {
	case b.Within:
		line("budget: the run ends within %s%s", budget, change)
	case b.Steps == 0:
		line("budget: not even one step ends within %s", budget)
	default:
		line("budget: %d of %d steps end within %s%s", b.Steps, f.Work.Steps, budget, change)
	}
}

// scheduled lists the planned merges and injections.
func scheduled(f *train.Forecast) string {
	var times []string
	for _, d := range f.Work.Schedule {
		what := "merge"
		switch {
		case d.Merge && d.Inject:
			what = "merge and injection"
		case d.Inject:
			what = "injection"
		}
		times = append(times, fmt.Sprintf("%s after step %d (epoch %.4g)", what, d.Step, d.Epoch))
	}
	return strings.Join(times, ", ")
}

// free says how much memory is free and whether the run fits.
func free(m train.MemoryForecast) string {
	switch {
	case m.Free == 0:
		return "  free memory unknown"
	case m.Fits:
		return "  of " + place.Bytes(m.Free) + " free"
	}
	return "  of " + place.Bytes(m.Free) + " free: does not fit"
}

// duration formats seconds.
func duration(seconds float64) string {
	if seconds < 10 {
		return fmt.Sprintf("%.2gs", seconds)
	}
	return terminal.Duration(time.Duration(seconds * float64(time.Second)))
}
