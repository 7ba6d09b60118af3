package watch

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/runlog"
	"github.com/lor2c/lor2c/internal/sweep"
	"github.com/lor2c/lor2c/internal/terminal"
	"github.com/lor2c/lor2c/internal/train"
)

// cells is what the cells of a sweep have written so far.
type cells struct {
	dir   string
	views map[string]*view // by the name of the cell
	// faults are the errors of the cells whose files cannot be read.
	faults []error
}

// read finds the cells that have begun, and reads what they wrote since the last call.
func (c *cells) read() error {
	if err := there(c.dir); err != nil {
		return err
	}
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return fmt.Errorf("watch: read %s: %w", c.dir, err)
	}
	c.faults = nil
	for _, e := range entries {
		if _, err := os.Stat(filepath.Join(c.dir, e.Name(), train.ConfigFile)); err != nil {
			delete(c.views, e.Name())
			continue
		}
		v, err := c.cell(e.Name())
		if err == nil {
			c.views[e.Name()] = v
			continue
		}
		delete(c.views, e.Name())
		if !errors.Is(err, ErrGone) {
			c.faults = append(c.faults, err)
		}
	}
	return nil
}

// cell reads what a cell wrote since the last call.
func (c *cells) cell(name string) (*view, error) {
	v := c.views[name]
	if v == nil {
		var err error
		if v, err = openView(filepath.Join(c.dir, name)); err != nil {
			return nil, err
		}
	}
	return v, v.read()
}

// frame draws the cells and the spread of their scores so far.
func (c *cells) frame(t terminal.Terminal, width int, now time.Time) []string {
	f := &drawing{t: t, width: max(width, narrowest)}
	names := slices.Sorted(maps.Keys(c.views))
	finished, running := 0, 0
	for _, name := range names {
		_, alive := c.views[name].state(now)
		switch {
		case alive:
			running++
		case c.views[name].finished:
			finished++
		}
	}
	f.lines = append(f.lines, t.Paint(terminal.Heading, terminal.KeepEnd(place.Escape(c.dir), f.width)))
	f.text(terminal.Plain, fmt.Sprintf("%s: %d finished, %d running", place.Count(len(names), "cell", "cells"), finished,
		running))
	widest := 0
	for _, name := range names {
		widest = max(widest, terminal.Cells(terminal.KeepEnd(place.Escape(name), f.width/2)))
	}
	for _, name := range names {
		v := c.views[name]
		state, alive := v.state(now)
		steps, _ := v.extent()
		parts := []terminal.Part{{Text: padded(terminal.KeepEnd(place.Escape(name), f.width/2), widest)},
			{Text: of(fmt.Sprint(v.step()), steps)}}
		if train := v.train(); len(train) > 0 {
			parts = append(parts, terminal.Part{Text: fmt.Sprintf("loss %.4f", train[len(train)-1].Loss), Rank: 3})
		}
		if best, ok := v.best(); ok {
			parts = append(parts, terminal.Part{Text: place.Escape(fmt.Sprintf("%s %v", v.selecting(), v.score(best))), Rank: 1})
		}
		state, _, _ = strings.Cut(state, ",")
		parts = append(parts, terminal.Part{Text: state, Rank: 2})
		f.lines = append(f.lines, t.Paint(v.style(alive), terminal.StatusLine(f.width+2, v.step(), steps, parts)))
	}
	f.spread(c)
	for _, err := range c.faults {
		f.text(terminal.Warning, place.Escape(err.Error()))
	}
	return f.lines
}

// best returns the best evaluation so far.
func (v *view) best() (found runlog.Eval, ok bool) {
	for _, e := range v.evals() {
		if e.Best {
			found, ok = e, true
		}
	}
	return found, ok
}

// seedPart is the part of a cell's name with its seed.
var seedPart = regexp.MustCompile(`-?\bseed=\d+`)

// spread adds, for each group of cells that differ only in the seed, the mean of the best scores of its finished cells.
func (f *drawing) spread(c *cells) {
	type group struct {
		name, metric string
		scores       []float64
		cells        int
	}
	groups := map[string]*group{}
	for _, name := range slices.Sorted(maps.Keys(c.views)) {
		v := c.views[name]
		settings := v.config.Settings()
		delete(settings, "seed")
		key := fmt.Sprint(settings) // fmt prints a map in the order of its keys
		if groups[key] == nil {
			groups[key] = &group{name: cmp.Or(seedPart.ReplaceAllString(name, ""), name), metric: v.selecting()}
		}
		g := groups[key]
		g.cells++
		if best, ok := v.best(); ok && v.finished {
			g.scores = append(g.scores, float64(v.score(best)))
		}
	}
	all := slices.SortedFunc(maps.Values(groups), func(a, b *group) int { return cmp.Compare(a.name, b.name) })
	if len(all) > 0 {
		f.text(terminal.Heading, "best scores on dev, over the seeds that are finished")
	}
	for _, g := range all {
		s := sweep.NewSpread(g.scores)
		text := fmt.Sprintf("%s: %d of %s", g.name, len(g.scores), place.Count(g.cells, "seed", "seeds"))
		if s.N > 0 {
			text += fmt.Sprintf(", %s %v", g.metric, s.Mean)
		}
		if s.SD != nil && !math.IsNaN(*s.SD) {
			text += fmt.Sprintf(", sd %.4f, %v to %v", *s.SD, s.Min, s.Max)
		}
		if i := s.Interval; i != nil {
			text += fmt.Sprintf(", 95 %% interval %v to %v", metric.Number(i.Low), metric.Number(i.High))
		}
		f.text(terminal.Plain, place.Escape(text))
	}
}
