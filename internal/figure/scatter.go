package figure

import (
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Cloud is the points of one kind of action.
type Cloud struct {
	Action string // merge or inject
	Note   string // written beside the name, for example a correlation
	X, Y   []float64
	Chosen []bool // whether a point is ringed
}

// Cross is what Scatter draws.
type Cross struct {
	Name, Title, Caption string
	XLabel, YLabel       string
	Clouds               []Cloud
}

// Scatter draws one panel per cloud, because the scores of merges, which are
// sums of two scores, cannot be compared with those of injections.
func Scatter(s Cross) Figure {
	const height = 250
	tiled := func(columns, rows int) func(c draw.Canvas, t Theme) {
		return func(c draw.Canvas, t Theme) {
			tiles := draw.Tiles{Rows: rows, Cols: columns, PadX: 24, PadY: 16}
			for i, cloud := range s.Clouds {
				cloud.draw(tiles.At(c, i%columns, i/columns), t, s)
			}
		}
	}
	rows := max(len(s.Clouds), 1)
	return Figure{
		Name: s.Name, Title: s.Title, Caption: s.Caption,
		drawing: drawing{pageWidth, height, tiled(max(len(s.Clouds), 2), 1)},
		narrow:  &drawing{phoneWidth, vg.Length(rows) * height, tiled(1, rows)},
	}
}

func (cl Cloud) draw(c draw.Canvas, t Theme, s Cross) {
	title := t.text(11, t.event(cl.Action))
	title.Font.Weight, title.YAlign = bold, draw.YTop
	c.FillText(title, vg.Point{X: c.Min.X + 4, Y: c.Max.Y}, cl.Action)
	note := t.text(10, t.Muted)
	note.YAlign, note.XAlign = draw.YTop, draw.XRight
	c.FillText(note, vg.Point{X: c.Max.X, Y: c.Max.Y}, cl.Note)
	p := axes(t, s.XLabel, s.YLabel)
	p.x.cover(roomy(bounds(cl.X)))
	p.y.cover(roomy(bounds(cl.Y)))
	p.plotters = append(p.plotters, grid{t: t, x: true}, points{cl, t})
	p.draw(draw.Crop(c, labelRoom, -4, 0, -20))
}

// roomy returns a range widened by a twentieth at both ends.
func roomy(lo, hi float64) (float64, float64) { return lo - (hi-lo)/20, hi + (hi-lo)/20 }

// points is a plotter that draws a cloud and rings its chosen points.
type points struct {
	Cloud
	t Theme
}

// plot implements plotter.
func (s points) plot(c draw.Canvas, p *plot) {
	x, y := p.transforms(c)
	ink := s.t.event(s.Action)
	faint := ink
	faint.A = 150
	for i := range s.X {
		at := vg.Point{X: x(s.X[i]), Y: y(s.Y[i])}
		c.DrawGlyphNoClip(draw.GlyphStyle{Color: faint, Radius: 3, Shape: draw.CircleGlyph{}}, at)
		if s.Chosen[i] {
			c.SetLineWidth(1.4)
			c.DrawGlyphNoClip(draw.GlyphStyle{Color: ink, Radius: 6, Shape: draw.RingGlyph{}}, at)
		}
	}
}
