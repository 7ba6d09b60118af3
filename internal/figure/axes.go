package figure

import (
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// labelRoom is extra space to the left of a vertical axis' label, because the
// letters of some fonts are higher than those of the font that the layout uses.
const labelRoom = 3

// axes returns an empty plot in the theme: a light grid, no frame, no ticks.
func axes(t Theme, x, y string) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Label.TextStyle = label(a.Label.TextStyle, t, 9.5)
		a.Tick.Label = label(a.Tick.Label, t, 9)
		a.Tick.Label.Color = t.Muted
		a.Tick.Length = 0
		a.LineStyle.Color, a.LineStyle.Width = t.Muted, 0.6
		a.Label.Padding = 4
		a.Padding = 4
		a.Tick.Marker = round{}
	}
	p.Y.LineStyle.Width = 0
	p.X.Tick.Length, p.X.Tick.LineStyle = 3, t.line(t.Muted, 0.6)
	p.X.Label.Text, p.Y.Label.Text = x, y
	return p
}

// label sets font and colour of a gonum text style to those of the theme. It
// keeps the alignment, which depends on the axis.
func label(s draw.TextStyle, t Theme, size vg.Length) draw.TextStyle {
	own := t.text(size, t.Text)
	s.Font, s.Handler, s.Color = own.Font, own.Handler, own.Color
	return s
}

// round is a plot.Ticker that puts ticks at multiples of 1, 2 or 5 times a
// power of ten.
type round struct{}

// Ticks implements plot.Ticker.
func (round) Ticks(lo, hi float64) (ticks []plot.Tick) {
	power := math.Floor(math.Log10((hi - lo) / 2))
	step := math.Pow(10, power)
	for _, m := range []float64{5, 2} {
		if (hi-lo)/(m*step) >= 2 {
			step *= m
			break
		}
	}
	decimals := max(0, -int(math.Floor(math.Log10(step)+1e-9)))
	// The tolerance includes ends that differ from a multiple by rounding only.
	for k := math.Ceil(lo/step - 1e-6); k*step <= hi+1e-6*step; k++ {
		text := strconv.FormatFloat(math.Abs(k*step), 'f', decimals, 64)
		if decimals == 0 {
			text = Thousands(int(math.Abs(k * step)))
		}
		if k < 0 {
			text = "\u2212" + text
		}
		ticks = append(ticks, plot.Tick{Value: k * step, Label: text})
	}
	return ticks
}

// grid is a plotter that draws a line for every tick of Y and, if x is set, of
// X.
type grid struct {
	t Theme
	x bool
}

// Plot implements plot.Plotter.
func (g grid) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	style := g.t.line(g.t.Grid, 0.7)
	for _, tick := range p.Y.Tick.Marker.Ticks(p.Y.Min, p.Y.Max) {
		if v := y(tick.Value); c.ContainsY(v) {
			c.StrokeLine2(style, c.Min.X, v, c.Max.X, v)
		}
	}
	if !g.x {
		return
	}
	for _, tick := range p.X.Tick.Marker.Ticks(p.X.Min, p.X.Max) {
		if v := x(tick.Value); c.ContainsX(v) {
			c.StrokeLine2(style, v, c.Min.Y, v, c.Max.Y)
		}
	}
}

// bounds returns the finite range of values, widened so that it is not empty.
func bounds(values ...[]float64) (lo, hi float64) {
	lo, hi = math.Inf(1), math.Inf(-1)
	for _, vs := range values {
		for _, v := range vs {
			if finite(v) {
				lo, hi = math.Min(lo, v), math.Max(hi, v)
			}
		}
	}
	switch {
	case lo > hi:
		return 0, 1
	case lo == hi:
		d := math.Max(math.Abs(lo)*0.05, 1e-6)
		return lo - d, hi + d
	}
	return lo, hi
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
