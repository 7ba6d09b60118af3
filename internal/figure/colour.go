package figure

import (
	"image/color"
	"math"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// viridis has nine colours of matplotlib's colour map viridis (CC0). Its
// lightness increases evenly, and it is readable for people who cannot tell red
// from green.
var viridis = []color.NRGBA{
	rgb(0x440154), rgb(0x472d7b), rgb(0x3b528b), rgb(0x2c728e), rgb(0x21918c), rgb(0x28ae80), rgb(0x5ec962), rgb(0xaddc30),
	rgb(0xfde725),
}

// diverging runs from blue over a neutral middle to orange (ColorBrewer's PuOr
// with RdBu's blue, both safe for colour-blind readers).
var diverging = []color.NRGBA{rgb(0x2166ac), rgb(0x67a9cf), rgb(0xd1e5f0), rgb(0xf7f7f7), rgb(0xfee0b6), rgb(0xf1a340),
	rgb(0xb35806)}

var nan = math.NaN()

// scale maps values to colours.
type scale struct {
	lo, hi float64
	log    bool
	stops  []color.NRGBA
}

// at returns the position of v on the scale, from 0 to 1.
func (s scale) at(v float64) float64 {
	lo, hi := s.lo, s.hi
	if s.log {
		v, lo, hi = math.Log(v), math.Log(lo), math.Log(hi)
	}
	if hi <= lo {
		return 0.5
	}
	return math.Min(math.Max((v-lo)/(hi-lo), 0), 1)
}

// value is the inverse of at.
func (s scale) value(f float64) float64 {
	if s.log {
		return math.Exp(math.Log(s.lo) + f*(math.Log(s.hi)-math.Log(s.lo)))
	}
	return s.lo + f*(s.hi-s.lo)
}

func (s scale) colour(v float64) color.NRGBA {
	f := s.at(v) * float64(len(s.stops)-1)
	i := min(int(f), len(s.stops)-2)
	mix := func(a, b uint8) uint8 { return uint8(math.Round(float64(a) + (f-float64(i))*(float64(b)-float64(a)))) }
	a, b := s.stops[i], s.stops[i+1]
	return color.NRGBA{R: mix(a.R, b.R), G: mix(a.G, b.G), B: mix(a.B, b.B), A: 255}
}

// over returns black or white, whichever reads better on c.
func over(c color.NRGBA) color.NRGBA {
	if luminance(c) > 0.18 {
		return rgb(0x000000)
	}
	return rgb(0xffffff)
}

// luminance returns the relative luminance of c in sRGB (WCAG 2.2).
func luminance(c color.NRGBA) float64 {
	linear := func(v uint8) float64 {
		x := float64(v) / 255
		if x <= 0.04045 {
			return x / 12.92
		}
		return math.Pow((x+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(c.R) + 0.7152*linear(c.G) + 0.0722*linear(c.B)
}

// labels returns the values that are written beside the bar: powers of ten if
// the scale covers several decades, and otherwise both ends and the middle.
func (s scale) labels() (values []float64) {
	if s.log && s.hi >= 100*s.lo {
		for d := math.Ceil(math.Log10(s.lo)); math.Pow(10, d) <= s.hi; d++ {
			values = append(values, math.Pow(10, d))
		}
		return values
	}
	return []float64{s.lo, s.value(0.5), s.hi}
}

// bar draws the scale with its values at the right edge of c.
func (s scale) bar(c draw.Canvas, t Theme, label string) {
	const steps, width = 64, 10
	x, height := c.Min.X, c.Max.Y-c.Min.Y
	for i := range steps {
		low := c.Min.Y + height*vg.Length(i)/steps
		// Half a point of overlap hides the seams between the steps.
		r := vg.Rectangle{Min: vg.Point{X: x, Y: low}, Max: vg.Point{X: x + width, Y: min(low+height/steps+0.5, c.Max.Y)}}
		fill(c, r, s.colour(s.value((float64(i)+0.5)/steps)))
	}
	number := t.text(9, t.Muted)
	number.YAlign = middle
	widest := vg.Length(0)
	for _, v := range s.labels() {
		y := c.Min.Y + height*vg.Length(s.at(v))
		c.StrokeLine2(t.line(t.Muted, 0.6), x+width, y, x+width+3, y)
		c.FillText(number, vg.Point{X: x + width + 6, Y: y}, short(v))
		widest = max(widest, number.Width(short(v)))
	}
	name := t.text(9.5, t.Text)
	name.Rotation, name.XAlign, name.YAlign = math.Pi/2, draw.XCenter, draw.YTop
	c.FillText(name, vg.Point{X: x + width + widest + 12, Y: (c.Min.Y + c.Max.Y) / 2}, label)
}
