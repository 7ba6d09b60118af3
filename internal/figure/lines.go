package figure

import (
	"cmp"
	"image/color"
	"slices"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Series is a curve. Points that are not finite leave a gap.
type Series struct {
	Name   string // written at its right end
	X, Y   []float64
	Colour int  // index of the theme's curves
	Points bool // mark every point
	Steps  bool // draw each value as constant until the next point
	// Low and High are the ends of an interval around each point, which is
	// drawn as a vertical line. They are nil if there are no intervals, and NaN
	// for a point without one.
	Low, High []float64
}

// Panel is one coordinate system.
type Panel struct {
	YLabel string
	Zero   bool // whether the axis begins at zero, however far from zero the values are
	Series []Series
	Levels []Level
}

// Level is a value to compare the curves with. It is drawn as a dashed line.
type Level struct {
	Name  string
	Value float64
}

// Mark is an event on the horizontal axis: a merge or an injection.
type Mark struct {
	Epoch  float64
	Action string // merge or inject
	Label  string // a few letters
}

// Chart is a column of panels that share a horizontal axis of epochs.
type Chart struct {
	Name, Title, Caption string
	Panels               []Panel
	Marks                []Mark
}

const (
	pageWidth   = 720 * vg.Length(1)
	panelHeight = 150 * vg.Length(1)
	markRow     = 14 * vg.Length(1)
	longestName = 4 // names are cut at the width divided by this
)

// Lines draws a chart, as wide as a page or as a phone.
func Lines(ch Chart) Figure {
	top := vg.Length(0)
	if len(ch.Marks) > 0 {
		top = 2*markRow + 6
	}
	height := vg.Length(len(ch.Panels))*panelHeight + top + 30
	draw := func(c draw.Canvas, t Theme) { ch.draw(c, t, top) }
	return Figure{
		Name: ch.Name, Title: ch.Title, Caption: ch.Caption,
		drawing: drawing{pageWidth, height, draw}, narrow: &drawing{phoneWidth, height, draw},
	}
}

// Cut reports whether the vertical axis of a panel begins above zero, so that
// heights are not proportional to values. Such an axis is marked by two strokes.
func (p Panel) Cut() bool {
	lo, _ := p.extent()
	return lo > 0
}

func (ch Chart) draw(c draw.Canvas, t Theme, top vg.Length) {
	var xs [][]float64
	for _, p := range ch.Panels {
		for _, s := range p.Series {
			xs = append(xs, s.X)
		}
	}
	_, last := bounds(xs...)
	right, longest := vg.Length(0), (c.Max.X-c.Min.X)/longestName
	for i := range ch.Panels {
		right = max(right, ch.Panels[i].nameWidth(t, last, longest))
	}
	plots := make([]*plot, len(ch.Panels))
	for i, panel := range ch.Panels {
		p := axes(t, "", panel.YLabel)
		p.x.cover(0, last)
		p.y.cover(panel.extent())
		if last >= 2 {
			p.x.ticks = at(counted(0, int(last), 0, int((c.Max.X-c.Min.X)/50)))
		}
		p.plotters = append(p.plotters, grid{t: t}, rules{ch.Marks, t}, levels{panel.Levels, t})
		if panel.Cut() {
			p.plotters = append(p.plotters, broken{t})
		}
		for _, s := range panel.Series {
			p.plotters = append(p.plotters, curve{s, t})
		}
		if i == len(ch.Panels)-1 {
			p.x.label = "epoch"
		}
		plots[i] = p
	}
	inner := draw.Crop(c, labelRoom, -right, 0, -top)
	canvases := align(plots, inner, 12)
	ch.nameMarks(c, t, plots[0], canvases[0])
	for i, p := range plots {
		p.draw(canvases[i])
		ch.Panels[i].names(c, t, p, canvases[i], longest)
	}
}

// extent returns the range of the vertical axis. It begins at zero unless
// values are negative or would then fill less than about half of it.
func (p Panel) extent() (lo, hi float64) {
	var ys [][]float64
	for _, s := range p.Series {
		ys = append(ys, s.Y, s.Low, s.High)
	}
	for _, l := range p.Levels {
		ys = append(ys, []float64{l.Value})
	}
	lo, hi = bounds(ys...)
	if p.Zero || lo > 0 && lo <= 0.4*hi {
		return min(lo, 0), hi + 0.04*(hi-min(lo, 0))
	}
	room := 0.04 * (hi - lo)
	if lo >= 0 {
		return max(lo-room, 0), hi + room
	}
	return lo - room, hi + room
}

// ending returns the name of a curve. If the curve ends before the others, the
// name contains its last epoch.
func (s Series) ending(last float64) string {
	for i := len(s.Y) - 1; i >= 0; i-- {
		if finite(s.Y[i]) {
			if s.X[i] < 0.97*last {
				return s.Name + ", to epoch " + short(s.X[i])
			}
			break
		}
	}
	return s.Name
}

// nameWidth returns the width that the names of curves and levels need at the
// right.
func (p Panel) nameWidth(t Theme, last float64, longest vg.Length) (width vg.Length) {
	for _, s := range p.Series {
		width = max(width, t.text(9.5, t.Text).Width(t.cut(s.ending(last), longest)))
	}
	for _, l := range p.Levels {
		width = max(width, t.text(9.5, t.Text).Width(t.cut(l.Name, longest)))
	}
	return width + 12
}

// names writes the names at the right ends of curves and levels and moves them
// apart where they would overlap.
func (p Panel) names(c draw.Canvas, t Theme, pl *plot, at draw.Canvas, longest vg.Length) {
	const gap = 12
	data := pl.data(at)
	_, y := pl.transforms(data)
	type end struct {
		name   string
		colour color.NRGBA
		y      vg.Length
	}
	var ends []end
	for _, s := range p.Series {
		for i := len(s.Y) - 1; i >= 0; i-- {
			if finite(s.Y[i]) {
				ends = append(ends, end{s.ending(pl.x.max), t.series(s.Colour), y(s.Y[i])})
				break
			}
		}
	}
	for _, l := range p.Levels {
		ends = append(ends, end{l.Name, t.Muted, y(l.Value)})
	}
	slices.SortStableFunc(ends, func(a, b end) int { return cmp.Compare(a.y, b.y) })
	for i := 1; i < len(ends); i++ {
		ends[i].y = max(ends[i].y, ends[i-1].y+gap)
	}
	// Names that were pushed out at the top are moved down again.
	limit := data.Max.Y + 4
	for i := len(ends) - 1; i >= 0; i-- {
		ends[i].y = min(ends[i].y, limit)
		limit = ends[i].y - gap
	}
	for _, e := range ends {
		style := t.text(9.5, e.colour)
		style.YAlign = middle
		c.FillText(style, vg.Point{X: data.Max.X + 8, Y: e.y}, t.cut(e.name, longest))
	}
}

// nameMarks writes the labels of the events above the chart, with one row for
// merges and one for injections.
func (ch Chart) nameMarks(c draw.Canvas, t Theme, p *plot, at draw.Canvas) {
	data := p.data(at)
	x, _ := p.transforms(data)
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

// rules is a plotter that draws a dashed vertical line at each epoch with
// events.
type rules struct {
	marks []Mark
	t     Theme
}

// plot implements plotter.
func (r rules) plot(c draw.Canvas, p *plot) {
	x, _ := p.transforms(c)
	line := r.t.line(r.t.Muted, 0.8)
	line.Dashes = []vg.Length{3, 3}
	for i, m := range r.marks {
		// Two dashed lines at the same epoch would look like a solid line.
		if i == 0 || m.Epoch != r.marks[i-1].Epoch {
			c.StrokeLine2(line, x(m.Epoch), c.Min.Y, x(m.Epoch), c.Max.Y+4)
		}
	}
}

// levels is a plotter that draws the levels of a panel.
type levels struct {
	all []Level
	t   Theme
}

// plot implements plotter.
func (l levels) plot(c draw.Canvas, p *plot) {
	_, y := p.transforms(c)
	line := l.t.line(l.t.Muted, 1)
	line.Dashes = []vg.Length{6, 3}
	for _, level := range l.all {
		c.StrokeLine2(line, c.Min.X, y(level.Value), c.Max.X, y(level.Value))
	}
}

// broken is a plotter that draws two strokes at the foot of a vertical axis
// that does not begin at zero.
type broken struct{ t Theme }

// plot implements plotter.
func (b broken) plot(c draw.Canvas, _ *plot) {
	line := b.t.line(b.t.Text, 1.1)
	for _, up := range []vg.Length{2, 6} {
		c.StrokeLine2(line, c.Min.X-4, c.Min.Y+up, c.Min.X+4, c.Min.Y+up+4)
	}
}
