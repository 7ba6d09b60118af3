package sweep

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/terminal"
)

// progress counts cells and shows their progress. Its methods are safe for
// concurrent use.
type progress struct {
	mu           sync.Mutex
	screen       *terminal.Screen
	now          func() time.Time
	start        time.Time
	cells        int // to run
	begun, ended int
	work         float64 // number of cells that this process has trained, with fractions
	running      []*running
	failures     []*failure
}

// running is a cell that is being trained. Its fields come from the cell's
// records.
type running struct {
	Cell
	first, step, steps int // optimizer steps at the start, now and at the end
	epochs             int
	epoch              float64
	loss, score        string
}

func newProgress(screen *terminal.Screen, cells int, now func() time.Time) *progress {
	return &progress{screen: screen, now: now, start: now(), cells: cells}
}

func (p *progress) begin(c Cell) *running {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begun++
	r := &running{Cell: c}
	p.running = append(p.running, r)
	if !p.screen.Live {
		p.say(terminal.Plain, "%s: begins (%d of %d)", c.Name, p.begun, p.cells)
	}
	p.screen.Status(true, p.status)
	return r
}

func (p *progress) end(r *running, f *failure, done bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended++
	p.running = slices.DeleteFunc(p.running, func(other *running) bool { return other == r })
	what, style := "done", terminal.Plain
	switch {
	case f != nil:
		p.failures = append(p.failures, f)
		what, style = "FAILED: "+f.what, terminal.Failure
	case !done:
		what = "interrupted"
	default:
		p.work += 1 - r.share(r.first)
		if r.score != "" {
			what += ", last " + r.score
		}
	}
	if n := p.cells - p.ended; n > 0 && what != "interrupted" && !p.screen.Live {
		what += fmt.Sprintf(", %d to go", n)
		if left, ok := p.eta(); ok {
			what += ", about " + terminal.Duration(left)
		}
	}
	p.say(style, "%s: %s", r.Name, what)
	p.screen.Status(true, p.status)
}

// close removes the bars.
func (p *progress) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.screen.Close()
}

// observe updates r from a record of its cell.
func (p *progress) observe(r *running, line []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var record map[string]any
	if json.Unmarshal(line, &record) != nil {
		return // the line is cut off; the run itself reports the reason
	}
	number := func(name string) float64 { n, _ := record[name].(float64); return n }
	switch kind := record["kind"]; kind {
	case "start":
		r.first, r.step = int(number("step")), int(number("step"))
		r.steps, r.epochs = int(number("steps")), int(number("epochs"))
	case "train", "eval":
		r.step, r.epoch = int(number("step")), number("epoch")
		if kind == "train" {
			r.loss = fmt.Sprintf("loss %.4f", number("loss"))
			break
		}
		score := metric.Number(math.NaN())
		if v, ok := record[r.metric].(float64); ok {
			score = metric.Number(v)
		}
		r.score = fmt.Sprintf("%s %v", r.metric, score)
		if !p.screen.Live {
			p.say(terminal.Plain, "%s: epoch %.4g of %d, step %d of %d: %s", r.Name, r.epoch, r.epochs, r.step, r.steps, r.score)
		}
	}
	p.screen.Status(false, p.status)
}

func (p *progress) say(style terminal.Style, format string, a ...any) {
	p.screen.Print(style, fmt.Sprintf(format, a...), 2)
}

// share returns steps as a fraction of all steps of the cell.
func (r *running) share(steps int) float64 {
	if r.steps == 0 {
		return 0
	}
	return float64(steps) / float64(r.steps)
}

// eta returns the estimated time for the remaining cells, by the pace of this
// process so far. Failed cells do not count.
func (p *progress) eta() (time.Duration, bool) {
	work, left := p.work, float64(p.cells-p.ended)
	for _, r := range p.running {
		work += r.share(r.step) - r.share(r.first)
		left -= r.share(r.step)
	}
	if work <= 0 {
		return 0, false
	}
	return time.Duration(float64(p.now().Sub(p.start)) * left / work), true
}

// status returns a bar for all cells and one for the steps of each running
// cell.
func (p *progress) status(width int) []string {
	// The unit is a thousandth of a cell, so that the bar moves while a cell is
	// running.
	done := p.ended * 1000
	for _, r := range p.running {
		done += int(1000 * r.share(r.step))
	}
	eta := ""
	if left, ok := p.eta(); ok {
		eta = "eta " + terminal.Duration(left)
	}
	lines := []string{terminal.StatusLine(width, done, p.cells*1000, []terminal.Part{
		{Text: fmt.Sprintf("%d of %s", p.ended, place.Count(p.cells, "cell", "cells"))}, {Text: eta, Rank: 1}})}
	name, widest := width/2-2, 0
	for _, r := range p.running {
		widest = max(widest, terminal.Cells(terminal.KeepEnd(r.Name, name)))
	}
	for _, r := range p.running {
		text := terminal.KeepEnd(r.Name, name)
		text += strings.Repeat(" ", widest-terminal.Cells(text))
		parts := []terminal.Part{{Text: text}, {Text: "starting"}}
		if r.steps > 0 {
			parts = []terminal.Part{{Text: text}, {Text: fmt.Sprintf("%d/%d", r.step, r.steps)}, {Text: r.loss, Rank: 1},
				{Text: r.score, Rank: 2}}
		}
		lines = append(lines, terminal.StatusLine(width, r.step, r.steps, parts))
	}
	return lines
}

// err returns an error that names the failed cells, or nil if there are none.
func (p *progress) err(cells int) error {
	if p.failures == nil {
		return nil
	}
	var lines strings.Builder
	for _, f := range p.failures {
		fmt.Fprintf(&lines, "\n  %s: %s (%s)", f.cell.Name, f.what, f.log)
	}
	return fmt.Errorf("sweep: %d of %d %w; the same command tries them again:%s", len(p.failures), cells, ErrFailed,
		lines.String())
}

// cellsAre returns the number of cells as the subject of a sentence.
func cellsAre(n int) string { return place.Count(n, "cell is", "cells are") }

// records is the standard output of a cell's process.
type records struct {
	p    *progress
	cell *running
	rest []byte // the start of an incomplete line
}

// Write implements io.Writer.
func (r *records) Write(b []byte) (int, error) {
	r.rest = append(r.rest, b...)
	for {
		line, rest, whole := bytes.Cut(r.rest, []byte{'\n'})
		if !whole {
			return len(b), nil
		}
		r.p.observe(r.cell, line)
		r.rest = bytes.Clone(rest)
	}
}
