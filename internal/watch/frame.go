package watch

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"time"

	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/runlog"
	"github.com/lor2c/lor2c/internal/schedule"
	"github.com/lor2c/lor2c/internal/terminal"
)

// These are the layout of a frame in cells: the names at the left, the numbers behind them, and the rows of the loss.
const (
	nameCells   = 10
	numberCells = 9
	lossRows    = 4
	narrowest   = 24
)

// frame draws a run for a terminal of some width. Its lines are not wider.
func (v *view) frame(t terminal.Terminal, width int, now time.Time) []string {
	f := &drawing{t: t, width: max(width, narrowest)}
	steps, epochs := v.extent()
	f.head(v, now, steps, epochs)
	axis := max(steps, v.step())
	f.loss(v, axis)
	f.score(v, axis)
	train := v.train()
	f.curve("lr", "%.2e", train, axis, func(r runlog.Train) float64 { return r.LearningRate })
	f.curve("grad norm", "%.3g", train, axis, func(r runlog.Train) float64 { return r.GradNorm })
	f.rate(v, axis)
	f.row("memory", v.memoryText())
	if n := v.parameters(); n > 0 {
		f.row("scalars", fmt.Sprint(n))
	}
	f.row("schedule", v.planned())
	f.layers(v)
	if v.damage != nil {
		f.text(terminal.Warning, place.Escape(v.damage.Error()))
	}
	return f.lines
}

// style returns how the state of a run that is running, finished or neither is drawn.
func (v *view) style(running bool) terminal.Style {
	switch {
	case running:
		return terminal.Good
	case v.finished:
		return terminal.Plain
	}
	return terminal.Warning
}

// head adds what is trained, and a bar of the steps.
func (f *drawing) head(v *view, now time.Time, steps, epochs int) {
	state, running := v.state(now)
	c := v.config
	about := fmt.Sprintf("%s on %s, %s", c.Method.Name(), task(v), filepath.Base(c.Model))
	f.lines = append(f.lines, f.t.Paint(terminal.Heading, terminal.KeepEnd(place.Escape(v.dir), f.width)))
	f.text(terminal.Plain, place.Escape(about))
	f.text(v.style(running), state)
	step := v.step()
	parts := []terminal.Part{{Text: "step " + of(fmt.Sprint(step), steps)}}
	if n := len(v.tail.Records); n > 0 {
		if train := v.train(); len(train) > 0 {
			parts = append(parts, terminal.Part{Text: "epoch " + of(fmt.Sprintf("%.2f", train[len(train)-1].Epoch), epochs),
				Rank: 1})
		}
	}
	parts = append(parts, terminal.Part{Text: v.eta(steps), Rank: 2})
	f.lines = append(f.lines, terminal.StatusLine(f.width+2, step, steps, parts))
}

// task returns the name of the task.
func task(v *view) string {
	if name := v.config.Data.Task; name != "" {
		return name
	}
	return "custom"
}

func of(done string, total int) string {
	if total == 0 {
		return done
	}
	return fmt.Sprintf("%s/%d", done, total)
}

// eta returns the remaining time at the pace of the last process, and the time so far.
func (v *view) eta(steps int) string {
	n := len(v.timing)
	if n == 0 {
		return ""
	}
	first := n - 1
	for first > 0 && v.timing[first-1].Seconds < v.timing[first].Seconds {
		first--
	}
	text := terminal.Duration(runlog.Elapsed(v.timing))
	done, took := v.timing[n-1].Step-v.timing[first].Step, v.timing[n-1].Seconds-v.timing[first].Seconds
	if left := steps - v.step(); left > 0 && done > 0 && !v.finished {
		text += ", eta " + terminal.Duration(time.Duration(float64(left)*took/float64(done)*float64(time.Second)))
	}
	return text
}

// loss adds the curve of the loss in several rows, and below it the events.
func (f *drawing) loss(v *view, axis int) {
	train := v.train()
	if len(train) == 0 {
		return
	}
	width := f.plot()
	var points []point
	for _, r := range train {
		points = append(points, point{r.Step, r.Loss})
	}
	values := columnsOf(points, axis, width)
	low, high := limits(values)
	for i, row := range chart(values, lossRows, low, high) {
		name, number := "", ""
		switch i {
		case 0:
			name, number = "loss", fmt.Sprintf("%.4f", high)
		case lossRows - 1:
			number = fmt.Sprintf("%.4f", low)
		case 1:
			number = fmt.Sprintf("now %.3f", points[len(points)-1].value)
		}
		f.line(name, number, row)
	}
	marks := v.events()
	if len(marks) == 0 {
		return
	}
	row := []rune(strings.Repeat(" ", width))
	for _, m := range marks {
		at := column(m.step, axis, width)
		if row[at] != ' ' && row[at] != m.letter {
			m.letter = '+'
		}
		row[at] = m.letter
	}
	f.line("events", "", f.t.Paint(terminal.Warning, strings.TrimRight(string(row), " ")))
	for _, r := range v.tail.Records[lastEvent(v.tail.Records):] {
		if e, ok := r.(schedule.Record); ok && e.Text() != "" {
			f.row("", fmt.Sprintf("step %d %s", e.At(), e.Text()))
			break
		}
	}
}

// lastEvent returns the index of the last record that describes an action.
func lastEvent(records []runlog.Record) (at int) {
	for i, r := range records {
		if e, ok := r.(schedule.Record); ok && e.Text() != "" {
			at = i
		}
	}
	return at
}

// score adds the selecting metric of the evaluations.
func (f *drawing) score(v *view, axis int) {
	evals := v.evals()
	if len(evals) == 0 {
		return
	}
	var points, losses []point
	best := runlog.Eval{}
	for _, e := range evals {
		points = append(points, point{e.Step, float64(v.score(e))})
		losses = append(losses, point{e.Step, e.Loss})
		if e.Best {
			best = e
		}
	}
	latest := evals[len(evals)-1]
	if name := v.selecting(); name != "" {
		f.line(cut(place.Escape(name), nameCells-1), v.score(latest).String(), spark(points, axis, f.plot()))
		if best.Best {
			f.row("", fmt.Sprintf("best %v after epoch %.4g", v.score(best), best.Epoch))
		}
	}
	f.line("dev loss", metric.Number(latest.Loss).String(), spark(losses, axis, f.plot()))
}

// rate adds the speed.
func (f *drawing) rate(v *view, axis int) {
	if len(v.timing) == 0 {
		return
	}
	var points []point
	for _, t := range v.timing {
		points = append(points, point{t.Step, float64(t.Tokens)})
	}
	now := v.timing[len(v.timing)-1]
	if !now.Tokens.Defined() {
		return
	}
	f.line("tok/s", fmt.Sprintf("%.0f", float64(now.Tokens)), spark(points, axis, f.plot()))
}

// memoryText returns the memory of the process and what the run planned.
func (v *view) memoryText() string {
	var parts []string
	if v.resident > 0 {
		parts = append(parts, place.Bytes(v.resident)+" in the process")
	}
	if v.memory != "" {
		parts = append(parts, v.memory)
	}
	return place.Escape(strings.Join(parts, "; "))
}

// layers adds the score of every module, as a strip with one part for each layer or span.
func (f *drawing) layers(v *view) {
	spectrum, ok := last[schedule.Spectrum](v.tail.Records)
	if !ok {
		return
	}
	plan, _ := last[schedule.Plan](v.tail.Records)
	name, score := scoring(plan)
	values := make([]float64, len(spectrum.Modules))
	high := 0.0
	for i, m := range spectrum.Modules {
		values[i] = score(m.Singular)
		high = math.Max(high, values[i])
	}
	var parts []string
	for i, m := range spectrum.Modules {
		level := 1
		if share := values[i] / high; share > 0 { // neither is if sums in a damaged log are too large for a float64
			level += int(math.Round(share * 7))
		}
		parts = append(parts, fmt.Sprintf("%s%c%s", spanText(m.Span), blocks[level],
			strings.TrimPrefix(fmt.Sprintf("%.2f", values[i]), "0")))
	}
	if e, ok := last[schedule.Event](v.tail.Records); ok {
		for _, layer := range e.After.Injected {
			parts = append(parts, fmt.Sprintf("%d:LoRA", layer))
		}
	}
	f.row(name, strings.Join(parts, " "))
}

// spanText returns the layers of a module.
func spanText(s schedule.Span) string {
	if s.First == s.Last {
		return fmt.Sprint(s.First)
	}
	return fmt.Sprintf("%d-%d", s.First, s.Last)
}

// usualK is the k of SFS in a run without a schedule.
const usualK = 2

// scoring returns the score of the plan and its name.
func scoring(plan schedule.Plan) (name string, score func([]float64) float64) {
	if plan.Score == schedule.ScoreNuclear {
		return "nuclear", schedule.Nuclear
	}
	k := plan.SFSK
	if k == 0 {
		k = usualK
	}
	return "SFS", func(s []float64) float64 { return schedule.SFS(s, k) }
}
