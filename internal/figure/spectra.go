package figure

import (
	"image/color"
	"math"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// ModuleSpectra is the singular values of one module at all measurements at
// which it existed.
type ModuleSpectra struct {
	Name   string      // its layers
	Merged bool        // whether a merge created it
	Epochs []float64   // of the measurements, rising
	Values [][]float64 // [measurement][index], largest first
}

// SpectraGrid is what SmallSpectra draws.
type SpectraGrid struct {
	Name, Title, Caption string
	Modules              []ModuleSpectra
}

// SmallSpectra draws one small panel per module, all with the same axes. A
// panel shows singular value over index with one line per measurement; earlier
// lines are paler.
func SmallSpectra(s SpectraGrid) Figure {
	const height = 100
	axes := spectraAxes{most: 1, first: math.Inf(1)}
	var all [][]float64
	for _, m := range s.Modules {
		for i, v := range m.Values {
			all, axes.most = append(all, v), max(axes.most, len(v))
			axes.first, axes.last = min(axes.first, m.Epochs[i]), max(axes.last, m.Epochs[i])
		}
	}
	_, top := bounds(all...)
	axes.top = roundUp(top)
	in := func(columns int, width vg.Length) drawing {
		rows := (len(s.Modules) + columns - 1) / columns
		return drawing{width, vg.Length(rows)*height + 34, func(c draw.Canvas, t Theme) { s.draw(c, t, columns, rows, axes) }}
	}
	narrow := in(2, phoneWidth)
	return Figure{Name: s.Name, Title: s.Title, Caption: s.Caption, drawing: in(min(6, max(len(s.Modules), 1)), pageWidth),
		narrow: &narrow}
}

func (s SpectraGrid) draw(c draw.Canvas, t Theme, columns, rows int, axes spectraAxes) {
	grid := draw.Crop(c, 44, 0, 30, 0)
	tiles := draw.Tiles{Rows: rows, Cols: columns, PadX: 10, PadY: 10}
	for i, m := range s.Modules {
		x, y := i%columns, i/columns
		own := axes
		own.y, own.x = x == 0, i+columns >= len(s.Modules)
		m.draw(tiles.At(grid, x, y), t, own)
	}
	name := t.text(9.5, t.Text)
	name.XAlign = draw.XCenter
	c.FillText(name, vg.Point{X: (grid.Min.X + grid.Max.X) / 2, Y: c.Min.Y + 4}, "index of the singular value")
	name.Rotation, name.YAlign = math.Pi/2, draw.YTop
	c.FillText(name, vg.Point{X: c.Min.X + 2, Y: (grid.Min.Y + grid.Max.Y) / 2}, "singular value")
}

// roundUp returns the first tick of an axis from zero that is not below v.
func roundUp(v float64) float64 {
	ticks := round(0, v)
	if len(ticks) < 2 {
		return v
	}
	last := ticks[len(ticks)-1].value
	if last < v*(1-1e-9) {
		last += ticks[1].value - ticks[0].value
	}
	return last
}

// spectraAxes is the axes that the panels share.
type spectraAxes struct {
	top         float64 // of the vertical axis
	first, last float64 // epochs
	most        int     // indices
	y, x        bool
}

func (m ModuleSpectra) draw(c draw.Canvas, t Theme, a spectraAxes) {
	ink := t.Module
	if m.Merged {
		ink = t.Merge
	}
	inside := draw.Crop(c, 0, 0, 0, -14)
	x := func(i int) vg.Length { return inside.X((float64(i) + 0.5) / float64(a.most)) }
	y := func(v float64) vg.Length { return inside.Y(v / a.top) }
	number := t.text(8.5, t.Muted)
	for _, k := range round(0, a.top) {
		c.StrokeLine2(t.line(t.Grid, 0.7), inside.Min.X, y(k.value), inside.Max.X, y(k.value))
		if a.y {
			number.XAlign, number.YAlign = draw.XRight, middle
			c.FillText(number, vg.Point{X: inside.Min.X - 4, Y: y(k.value)}, k.label)
		}
	}
	if a.x {
		number.XAlign, number.YAlign = draw.XCenter, draw.YTop
		for _, k := range counted(1, a.most, -1, 9) {
			c.FillText(number, vg.Point{X: x(int(k.value)), Y: inside.Min.Y - 4}, k.label)
		}
	}
	c.StrokeLine2(t.line(t.Muted, 0.6), inside.Min.X, inside.Min.Y, inside.Max.X, inside.Min.Y)
	for i, values := range m.Values {
		var line []vg.Point
		for j, v := range values {
			if finite(v) {
				line = append(line, vg.Point{X: x(j), Y: y(v)})
			}
		}
		c.StrokeLines(t.line(fade(ink, t.Surface, 0.4+0.6*m.Epochs[i]/max(a.last, 1e-9)), 1), line)
	}
	title := t.text(9.5, ink)
	title.Font.Weight, title.YAlign = bold, draw.YTop
	c.FillText(title, vg.Point{X: c.Min.X + 2, Y: c.Max.Y}, m.Name)
}

// fade returns paper mixed with the given share of ink.
func fade(ink, paper color.NRGBA, share float64) color.NRGBA {
	mix := func(a, b uint8) uint8 { return uint8(share*float64(a) + (1-share)*float64(b) + 0.5) }
	return color.NRGBA{R: mix(ink.R, paper.R), G: mix(ink.G, paper.G), B: mix(ink.B, paper.B), A: 255}
}
