package figure

import (
	"cmp"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Series is a curve. Points that are not finite leave a gap.
type Series struct {
	Name   string // written at its right end
	X, Y   []float64
	Colour int  // index of the theme's curves
	Points bool // mark every point
	Steps  bool // hold each value until the next point
}

// Panel is one coordinate system.
type Panel struct {
	YLabel string
	Zero   bool // the axis begins at zero
	Series []Series
}

// Mark is an event on the horizontal axis: a merge or an injection.
type Mark struct {
	Epoch  float64
	Action string // merge or inject
	Label  string // a few letters
}

// Chart is panels above each other over epochs.
type Chart struct {
	Name, Title, Caption string
	Panels               []Panel
	Marks                []Mark
}

const (
	pageWidth   = 720 * vg.Length(1)
	panelHeight = 150 * vg.Length(1)
	markRow     = 14 * vg.Length(1)
	longestName = 180 * vg.Length(1) // of a series; what is longer is cut
)

// Lines draws a chart, 720 points wide.
func Lines(ch Chart) Figure {
	top := vg.Length(0)
	if len(ch.Marks) > 0 {
		top = 2*markRow + 6
	}
	return Figure{
		Name: ch.Name, Title: ch.Title, Caption: ch.Caption, width: pageWidth, height: vg.Length(len(ch.Panels))*panelHeight + top + 30,
		draw: func(c draw.Canvas, t Theme) { ch.draw(c, t, top) },
	}
}

func (ch Chart) draw(c draw.Canvas, t Theme, top vg.Length) {
	var xs [][]float64
	for _, p := range ch.Panels {
		for _, s := range p.Series {
			xs = append(xs, s.X)
		}
	}
	_, last := bounds(xs...)
	right := vg.Length(0)
	for i := range ch.Panels {
		right = max(right, ch.Panels[i].nameWidth(t))
	}
	plots := make([][]*plot.Plot, len(ch.Panels))
	for i, panel := range ch.Panels {
		p := axes(t, "", panel.YLabel)
		p.X.Min, p.X.Max = 0, last
		p.Y.Min, p.Y.Max = panel.extent()
		if last >= 2 {
			p.X.Tick.Marker = counted(0, int(last), 0, 13)
		}
		p.Add(grid{t: t}, rules{ch.Marks, t})
		for _, s := range panel.Series {
			p.Add(curve{s, t})
		}
		if i == len(ch.Panels)-1 {
			p.X.Label.Text = "epoch"
		}
		plots[i] = []*plot.Plot{p}
	}
	inner := draw.Crop(c, 0, -right, 0, -top)
	tiles := draw.Tiles{Rows: len(plots), Cols: 1, PadY: 12}
	canvases := plot.Align(plots, tiles, inner)
	ch.nameMarks(c, t, plots[0][0], canvases[0][0])
	for i := range plots {
		plots[i][0].Draw(canvases[i][0])
		ch.Panels[i].names(c, t, plots[i][0], canvases[i][0])
	}
}

func (p Panel) extent() (lo, hi float64) {
	var ys [][]float64
	for _, s := range p.Series {
		ys = append(ys, s.Y)
	}
	lo, hi = bounds(ys...)
	if p.Zero {
		lo = min(lo, 0)
	}
	return lo, hi + 0.04*(hi-lo)
}

// nameWidth is the room that the series' names need at the right.
func (p Panel) nameWidth(t Theme) (width vg.Length) {
	for _, s := range p.Series {
		width = max(width, t.text(9.5, t.Text).Width(t.cut(s.Name, longestName)))
	}
	return width + 12
}

// names writes the series' names at their right ends, moved apart.
func (p Panel) names(c draw.Canvas, t Theme, pl *plot.Plot, at draw.Canvas) {
	const gap = 12
	data := pl.DataCanvas(at)
	x, y := pl.Transforms(&data)
	type end struct {
		Series
		y vg.Length
	}
	var ends []end
	for _, s := range p.Series {
		for i := len(s.Y) - 1; i >= 0; i-- {
			if finite(s.Y[i]) {
				ends = append(ends, end{s, y(s.Y[i])})
				if s.X[i] < 0.97*pl.X.Max {
					leader := t.line(t.series(s.Colour), 0.7) // from a curve that ends early to its name
					leader.Dashes = []vg.Length{1, 3}
					c.StrokeLine2(leader, x(s.X[i])+4, y(s.Y[i]), data.Max.X+4, y(s.Y[i]))
				}
				break
			}
		}
	}
	slices.SortStableFunc(ends, func(a, b end) int { return cmp.Compare(a.y, b.y) })
	for i := 1; i < len(ends); i++ {
		ends[i].y = max(ends[i].y, ends[i-1].y+gap)
	}
	// What was pushed out at the top goes down again.
	limit := data.Max.Y + 4
	for i := len(ends) - 1; i >= 0; i-- {
		ends[i].y = min(ends[i].y, limit)
		limit = ends[i].y - gap
	}
	for _, e := range ends {
		style := t.text(9.5, t.series(e.Colour))
		style.YAlign = middle
		c.FillText(style, vg.Point{X: data.Max.X + 8, Y: e.y}, t.cut(e.Name, longestName))
	}
}

// nameMarks writes the events' labels above the chart: one row of merges and
// one of injections.
func (ch Chart) nameMarks(c draw.Canvas, t Theme, p *plot.Plot, at draw.Canvas) {
	data := p.DataCanvas(at)
	x, _ := p.Transforms(&data)
	for row, action := range []string{"inject", "merge"} {
		if !slices.ContainsFunc(ch.Marks, func(m Mark) bool { return m.Action == action }) {
			continue
		}
		y := data.Max.Y + 10 + vg.Length(row)*markRow
		name := t.text(9, t.event(action))
		name.XAlign, name.YAlign = draw.XRight, middle
		c.FillText(name, vg.Point{X: data.Min.X - 6, Y: y}, action)
		name.XAlign, name.Font.Weight = draw.XCenter, bold
		for _, m := range ch.Marks {
			if m.Action == action {
				c.FillText(name, vg.Point{X: x(m.Epoch), Y: y}, m.Label)
			}
		}
	}
}

// rules draws a dashed line for each epoch with events.
type rules struct {
	marks []Mark
	t     Theme
}

// Plot implements plot.Plotter.
func (r rules) Plot(c draw.Canvas, p *plot.Plot) {
	x, _ := p.Transforms(&c)
	line := r.t.line(r.t.Muted, 0.8)
	line.Dashes = []vg.Length{3, 3}
	for i, m := range r.marks {
		// Dashes over dashes of the same epoch would look solid.
		if i == 0 || m.Epoch != r.marks[i-1].Epoch {
			c.StrokeLine2(line, x(m.Epoch), c.Min.Y, x(m.Epoch), c.Max.Y+4)
		}
	}
}
