package figure

import (
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// curve draws a series; unlike gonum's Line it takes values that are not finite.
type curve struct {
	Series
	t Theme
}

// plot implements plotter.
func (s curve) plot(c draw.Canvas, p *plot) {
	x, y := p.transforms(c)
	colour := s.t.series(s.Colour)
	for i := range s.Low {
		if finite(s.Low[i]) && finite(s.High[i]) {
			c.StrokeLine2(s.t.line(colour, 0.8), x(s.X[i]), y(s.Low[i]), x(s.X[i]), y(s.High[i]))
		}
	}
	var runs [][]vg.Point
	open := false
	for i, v := range s.Y {
		if !finite(v) || !finite(s.X[i]) {
			open = false
			continue
		}
		pt := vg.Point{X: x(s.X[i]), Y: y(v)}
		if !open {
			runs, open = append(runs, nil), true
		}
		last := &runs[len(runs)-1]
		if n := len(*last); s.Steps && n > 0 {
			*last = append(*last, vg.Point{X: pt.X, Y: (*last)[n-1].Y})
		}
		*last = append(*last, pt)
	}
	c.StrokeLines(s.t.line(colour, 1.4), c.ClipLinesXY(runs...)...)
	for _, run := range runs {
		// A single point has no line, so it is drawn as a dot.
		if s.Points || len(run) == 1 {
			for _, pt := range run {
				c.DrawGlyph(draw.GlyphStyle{Color: colour, Radius: 1.9, Shape: draw.CircleGlyph{}}, pt)
			}
		}
	}
}
