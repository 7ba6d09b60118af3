package figure

import (
	"testing"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/recorder"
)

// texts returns the texts that a plot draws into c, with the rectangles that they cover. Rotated texts are left out.
func texts(p *plot, width, height vg.Length) (all map[string]vg.Rectangle) {
	var r recorder.Canvas
	p.draw(draw.NewCanvas(&r, width, height))
	all = map[string]vg.Rectangle{}
	for _, a := range r.Actions {
		s, ok := a.(*recorder.FillString)
		if !ok {
			continue
		}
		const digit = 0.75 // height of a digit in sizes of the font
		size := vg.Point{X: p.t.text(s.Size, p.t.Text).Width(s.String), Y: digit * s.Size}
		all[s.String] = vg.Rectangle{Min: s.Point, Max: s.Point.Add(size)}
	}
	return all
}

// TestTextsFit: an axis becomes shorter if the number at its end would not fit, and no number overlaps the data.
func TestTextsFit(t *testing.T) {
	const width, height = 300, 150
	wide := []tick{{0, "zero"}, {0.9, "a number that is very wide"}, {3, "beyond the end"}}
	p := axes(Light(), "epoch", "")
	p.x.ticks, p.y.ticks = at(wide), at([]tick{{0, "0"}, {1, "1,000"}})
	p.x.cover(0, 1)
	p.y.cover(0, 1)
	data := p.data(draw.NewCanvas(nil, width, height))
	if free := width - data.Max.X; free < 20 {
		t.Errorf("%.1f points are free beside the data; want room for half of the widest number", free)
	}
	all := texts(p, width, height)
	for name, in := range map[string]bool{
		"epoch": true, "zero": true, wide[1].label: true, "1,000": true, "beyond the end": false,
	} {
		box, ok := all[name]
		if ok != in {
			t.Errorf("%q is drawn: %v; want %v", name, ok, in)
			continue
		}
		if ok && (box.Min.X < 0 || box.Max.X > width+0.01 || box.Min.Y < 0 || box.Max.Y > height) {
			t.Errorf("%q covers %v, which is not within %d x %d", name, box, width, height)
		}
		if ok && box.Max.X > data.Min.X && box.Max.Y > data.Min.Y {
			t.Errorf("%q covers %v, and the data %v", name, box, data.Rectangle)
		}
	}
}

// TestAlign: plots below each other have data of the same size, one above the other, although their numbers, labels and
// ends differ.
func TestAlign(t *testing.T) {
	c := draw.NewCanvas(nil, 400, 300)
	var plots []*plot
	for _, top := range []float64{1, 150_000} {
		p := axes(Light(), "", "loss")
		p.x.cover(0, 3)
		p.y.cover(0, top)
		plots = append(plots, p)
	}
	plots[1].x.label = "epoch"
	canvases := align(plots, c, 12)
	first, second := plots[0].data(canvases[0]), plots[1].data(canvases[1])
	near := func(what string, a, b vg.Length) {
		if d := a - b; d < -0.5 || d > 0.5 {
			t.Errorf("%s: %.2f and %.2f points", what, a, b)
		}
	}
	near("left edges", first.Min.X, second.Min.X)
	near("widths", first.Size().X, second.Size().X)
	near("heights", first.Size().Y, second.Size().Y)
	near("the top of the first and of the canvas", canvases[0].Max.Y, c.Max.Y)
	near("the bottom of the last and of the canvas", canvases[1].Min.Y, c.Min.Y)
	near("the gap", canvases[0].Min.Y-canvases[1].Max.Y, 12)
}
