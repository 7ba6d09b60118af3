package figure

import (
	"math"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// plot is a pair of axes and what is drawn between them.
//
// gonum.org/v1/plot has such a type too, but a program that imports it contains twelve fonts and the writers of PDF,
// EPS and TeX (docs/adr/0069-axes.md). Text, lines and files are drawn by its packages vg and draw.
type plot struct {
	t    Theme
	x, y axis
	// plotters are drawn in order, above the axes.
	plotters []plotter
}

// plotter draws data into the canvas between the axes.
type plotter interface {
	plot(c draw.Canvas, p *plot)
}

// axis is a side of a plot.
type axis struct {
	label    string
	min, max float64
	ticks    ticker
	line     vg.Length // width of the line along the axis, or 0
	mark     vg.Length // length of the mark of a tick
	padding  vg.Length // between the line and the data
}

// tick is a number beside an axis.
type tick struct {
	value float64
	label string
}

// ticker returns the ticks of an axis from lo to hi. Those that are not between them are not drawn.
type ticker func(lo, hi float64) []tick

// at is a ticker that puts ticks at the same values always.
func at(ticks []tick) ticker { return func(float64, float64) []tick { return ticks } }

// cover makes an axis reach from lo to hi, or further if that would be no range.
func (a *axis) cover(lo, hi float64) {
	if lo >= hi {
		lo, hi = lo-1, lo+1
	}
	a.min, a.max = lo, hi
}

// labelGap is the space between the label of an axis and its numbers.
const labelGap = 4

// fraction returns where v is on the axis: 0 at its beginning and 1 at its end.
func (a axis) fraction(v float64) float64 { return (v - a.min) / (a.max - a.min) }

// all returns the ticks of an axis.
func (a axis) all() []tick { return a.ticks(a.min, a.max) }

// labelStyle returns the style of an axis' label, which is centred above a point.
func (p *plot) labelStyle() draw.TextStyle {
	s := p.t.text(9.5, p.t.Text)
	s.XAlign, s.YAlign = draw.XCenter, draw.YBottom
	return s
}

// numberStyle returns the style of the numbers of an axis.
func (p *plot) numberStyle(x draw.XAlignment, y draw.YAlignment) draw.TextStyle {
	s := p.t.text(9, p.t.Muted)
	s.XAlign, s.YAlign = x, y
	return s
}

// belowNumbers returns the style of the numbers of the horizontal axis, and besideNumbers that of the vertical one.
func (p *plot) belowNumbers() draw.TextStyle  { return p.numberStyle(draw.XCenter, draw.YTop) }
func (p *plot) besideNumbers() draw.TextStyle { return p.numberStyle(draw.XRight, draw.YCenter) }

// largest returns the width and the height of the largest number.
func largest(s draw.TextStyle, ticks []tick) (size vg.Point) {
	for _, k := range ticks {
		r := s.Rectangle(k.label).Size()
		size.X, size.Y = max(size.X, r.X), max(size.Y, r.Y)
	}
	return size
}

// columns returns the widths of the label and of the numbers beside the vertical axis, each with the space after it.
func (p *plot) columns() (label, numbers vg.Length) {
	s := p.labelStyle()
	if p.y.label != "" {
		label = s.FontExtents().Descent + s.Height(p.y.label) + labelGap
	}
	if w := largest(p.besideNumbers(), p.y.all()).X; w > 0 {
		numbers = w + s.Width(" ")
	}
	return label, numbers
}

// rows returns the heights of the label, the numbers and the marks below the horizontal axis.
func (p *plot) rows() (label, numbers, marks vg.Length) {
	if p.x.label != "" {
		label = p.labelStyle().Height(p.x.label) + labelGap
	}
	if ticks := p.x.all(); len(ticks) > 0 {
		numbers, marks = largest(p.belowNumbers(), ticks).Y, p.x.mark
	}
	return label, numbers, marks
}

// corner returns the space that the axes need at the left and below the data.
func (p *plot) corner() vg.Point {
	left, numbers := p.columns()
	label, below, marks := p.rows()
	return vg.Point{X: left + numbers + p.y.padding, Y: label + below + marks + p.x.line/2 + p.x.padding}
}

// shrunk returns the length of an axis that has the given room, of which its texts may need some beyond its end. label
// is the length of its label, which is at its middle, and over returns how far a tick's text reaches beyond the tick.
func (a axis) shrunk(room, label vg.Length, over func(label string) vg.Length) vg.Length {
	length := min(room, 2*room-label)
	for _, k := range a.all() {
		if at := a.fraction(k.value); at > 0 && at <= 1 {
			length = min(length, (room-over(k.label))/vg.Length(at))
		}
	}
	return length
}

// data returns the canvas between the axes of a plot that is drawn into c.
func (p *plot) data(c draw.Canvas) draw.Canvas {
	corner, below, beside := p.corner(), p.belowNumbers(), p.besideNumbers()
	c.Min = c.Min.Add(corner)
	lift := beside.FontExtents().Height - beside.FontExtents().Ascent
	size, s := c.Size(), p.labelStyle()
	c.Max.X = c.Min.X + p.x.shrunk(size.X, s.Width(p.x.label),
		func(label string) vg.Length { return below.Rectangle(label).Max.X })
	c.Max.Y = c.Min.Y + p.y.shrunk(size.Y, s.Width(p.y.label),
		func(label string) vg.Length { return beside.Rectangle(label).Max.Y + lift })
	return c
}

// transforms returns functions from data to positions in the canvas between the axes.
func (p *plot) transforms(c draw.Canvas) (x, y func(float64) vg.Length) {
	return func(v float64) vg.Length { return c.X(p.x.fraction(v)) },
		func(v float64) vg.Length { return c.Y(p.y.fraction(v)) }
}

// draw draws the axes and the data into c.
func (p *plot) draw(c draw.Canvas) {
	data := p.data(c)
	p.drawX(c.Min.Y, data)
	p.drawY(c.Min.X, data)
	for _, d := range p.plotters {
		d.plot(data, p)
	}
}

// drawX draws the horizontal axis. y is the lower edge of the plot.
func (p *plot) drawX(y vg.Length, data draw.Canvas) {
	x, _ := p.transforms(data)
	s, number := p.labelStyle(), p.belowNumbers()
	if p.x.label != "" {
		c := vg.Point{X: data.Center().X, Y: y + s.FontExtents().Descent}
		data.FillText(s, c, p.x.label)
	}
	label, below, marks := p.rows()
	y += label + below
	line := p.t.line(p.t.Muted, 0.6)
	for _, k := range p.x.all() {
		if at := x(k.value); data.ContainsX(at) {
			data.FillText(number, vg.Point{X: at, Y: y + number.FontExtents().Descent}, k.label)
			data.StrokeLine2(line, at, y, at, y+marks)
		}
	}
	line.Width = p.x.line // 0 draws nothing
	data.StrokeLine2(line, data.Min.X, y+marks, data.Max.X, y+marks)
}

// drawY draws the vertical axis. x is the left edge of the plot.
func (p *plot) drawY(x vg.Length, data draw.Canvas) {
	_, y := p.transforms(data)
	s, number := p.labelStyle(), p.besideNumbers()
	if p.y.label != "" {
		c := vg.Point{X: x + s.Height(p.y.label) - s.FontExtents().Descent, Y: data.Center().Y}
		s.Rotation = math.Pi / 2
		data.FillText(s, c, p.y.label)
	}
	label, _ := p.columns()
	x += label + largest(number, p.y.all()).X
	for _, k := range p.y.all() {
		if at := y(k.value); data.ContainsY(at) {
			data.FillText(number, vg.Point{X: x, Y: at + number.FontExtents().Descent}, k.label)
		}
	}
}

// align returns a canvas for each of a column of plots, from the top, such that the data of all have the same size and
// begin at the same distance from the left.
func align(plots []*plot, c draw.Canvas, gap vg.Length) (canvases []draw.Canvas) {
	tiles := draw.Tiles{Rows: len(plots), Cols: 1, PadY: gap}
	var left, right, heights vg.Length
	for i, p := range plots {
		tile := tiles.At(c, 0, i)
		data := p.data(tile)
		left, right = max(left, data.Min.X-tile.Min.X), max(right, tile.Max.X-data.Max.X)
		heights += data.Size().Y
	}
	height := heights / vg.Length(len(plots))
	top := c.Max.Y
	for i, p := range plots {
		tile := tiles.At(c, 0, i)
		data := p.data(tile)
		own := draw.Canvas{Canvas: c.Canvas, Rectangle: vg.Rectangle{
			Min: vg.Point{X: tile.Min.X + left - (data.Min.X - tile.Min.X), Y: top - tile.Size().Y - height + data.Size().Y},
			Max: vg.Point{X: tile.Max.X - right + (tile.Max.X - data.Max.X), Y: top},
		}}
		canvases, top = append(canvases, own), own.Min.Y-gap
	}
	return canvases
}
