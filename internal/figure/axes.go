package figure

import (
	"math"
	"strconv"

	"gonum.org/v1/plot/vg/draw"
)

// labelRoom is extra space to the left of a vertical axis' label, because the
// letters of some fonts are higher than those of the font that the layout uses.
const labelRoom = 3

// axes returns an empty plot in the theme: no frame, and marks at the horizontal axis alone.
func axes(t Theme, x, y string) *plot {
	return &plot{
		t: t,
		x: axis{label: x, ticks: round, line: 0.6, mark: 3, padding: 4},
		y: axis{label: y, ticks: round, padding: 4},
	}
}

// round is a ticker that puts ticks at multiples of 1, 2 or 5 times a power of ten.
func round(lo, hi float64) (ticks []tick) {
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
		ticks = append(ticks, tick{k * step, text})
	}
	return ticks
}

// grid is a plotter that draws a line for every tick of Y and, if x is set, of
// X.
type grid struct {
	t Theme
	x bool
}

// plot implements plotter.
func (g grid) plot(c draw.Canvas, p *plot) {
	x, y := p.transforms(c)
	style := g.t.line(g.t.Grid, 0.7)
	for _, k := range p.y.all() {
		if v := y(k.value); c.ContainsY(v) {
			c.StrokeLine2(style, c.Min.X, v, c.Max.X, v)
		}
	}
	if !g.x {
		return
	}
	for _, k := range p.x.all() {
		if v := x(k.value); c.ContainsX(v) {
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
