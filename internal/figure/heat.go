package figure

import (
	"math"
	"strconv"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// cell is a rectangle of a heat map in data coordinates.
type cell struct {
	x0, x1, y0, y1 float64
	value          float64 // NaN leaves the cell empty
	text, note     string
	hatched        bool
	framed         bool
}

// heat is a plotter that draws cells.
type heat struct {
	cells []cell
	scale scale
	t     Theme
	dense bool // no gaps between cells
	// numbers is the number of decimals of the value that is written into a
	// cell without a text if there is room; 0 writes no value.
	numbers int
	whole   bool // the values are whole numbers, without decimals
}

// plot implements plotter.
func (h heat) plot(c draw.Canvas, p *plot) {
	x, y := p.transforms(c)
	inset := vg.Length(0.6)
	if h.dense {
		inset = -0.25 // an overlap hides the seams between cells
	}
	box := func(k cell, by vg.Length) vg.Rectangle {
		return vg.Rectangle{Min: vg.Point{X: x(k.x0) + by, Y: y(k.y0) + by}, Max: vg.Point{X: x(k.x1) - by, Y: y(k.y1) - by}}
	}
	for _, k := range h.cells {
		r, ink := box(k, inset), h.t.Muted
		if !math.IsNaN(k.value) {
			clr := h.scale.colour(k.value)
			fill(c, r, clr)
			ink = over(clr)
		} else {
			fill(c, r, h.t.Surface)
		}
		if !h.dense {
			// The border makes a dark cell visible on a dark page and beside
			// its neighbours.
			c.SetLineStyle(h.t.line(h.t.Muted, 0.4))
			c.Stroke(r.Path())
		}
		if k.hatched {
			faint := ink
			faint.A = 110
			hatch(c, r, h.t.line(faint, 0.5))
		}
		mid := vg.Point{X: (r.Min.X + r.Max.X) / 2, Y: (r.Min.Y + r.Max.Y) / 2}
		style := h.t.text(9.5, ink)
		style.XAlign, style.YAlign = draw.XCenter, middle
		if k.note != "" {
			small := h.t.text(7.5, ink)
			small.XAlign, small.YAlign = draw.XCenter, middle
			c.FillText(small, vg.Point{X: mid.X, Y: mid.Y - 6}, k.note)
			mid.Y += 5
		}
		text := k.text
		if text == "" && h.numbers > 0 && !math.IsNaN(k.value) {
			decimals := h.numbers
			if h.whole {
				decimals = 0
			}
			text = strconv.FormatFloat(k.value, 'f', decimals, 64)
			if style.Width(text) > r.Max.X-r.Min.X-4 || r.Max.Y-r.Min.Y < 11 {
				text = ""
			}
		}
		if text != "" {
			c.FillText(style, mid, text)
		}
	}
	for _, k := range h.cells {
		if k.framed {
			c.SetLineStyle(h.t.line(h.t.Text, 1.8))
			c.Stroke(rounded(box(k, 0), 1))
		}
	}
}

// hatch draws diagonals over r.
func hatch(c draw.Canvas, r vg.Rectangle, line draw.LineStyle) {
	const gap = 5
	w, h := r.Max.X-r.Min.X, r.Max.Y-r.Min.Y
	for d := vg.Length(gap) - h; d < w; d += gap {
		a := vg.Point{X: r.Min.X + d, Y: r.Min.Y}
		b := vg.Point{X: r.Min.X + d + h, Y: r.Max.Y}
		if a.X < r.Min.X {
			a = vg.Point{X: r.Min.X, Y: r.Min.Y - d}
		}
		if b.X > r.Max.X {
			b = vg.Point{X: r.Max.X, Y: r.Min.Y + w - d}
		}
		c.StrokeLine2(line, a.X, a.Y, b.X, b.Y)
	}
}

// counted returns labels for the whole numbers from lo to hi, each moved by
// shift. It leaves numbers out so that about `most` labels remain.
func counted(lo, hi int, shift float64, most int) (ticks []tick) {
	every := 1
	for _, e := range []int{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000} {
		if every = e; (hi-lo)/e < most {
			break
		}
	}
	for v := lo; v <= hi; v++ {
		if v%every == 0 || v == 1 && lo == 1 && every > 2 {
			ticks = append(ticks, tick{float64(v) + shift, strconv.Itoa(v)})
		}
	}
	return ticks
}

// heatAxes returns a plot for cells: no grid, and axes that end with the cells.
func heatAxes(t Theme, x, y string, x0, x1, y0, y1 float64) *plot {
	p := axes(t, x, y)
	p.x.line, p.x.padding, p.y.padding = 0, 2, 2
	p.x.cover(x0, x1)
	p.y.cover(y0, y1)
	if x1 >= 2 {
		p.x.ticks = at(counted(int(math.Ceil(x0)), int(x1), 0, 13))
	}
	return p
}

// drawHeat draws cells with the scale's bar at their right.
func drawHeat(c draw.Canvas, t Theme, p *plot, h heat, value string) {
	p.plotters = append(p.plotters, h)
	inner := draw.Crop(c, labelRoom, -76, 0, -4)
	p.draw(inner)
	data := p.data(inner)
	data.Min.X = data.Max.X + 12
	h.scale.bar(data, t, value)
}
