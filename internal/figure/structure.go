package figure

import (
	"fmt"
	"image/color"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Box is a LoR2C module in a diagram.
type Box struct {
	First, Last int    // layers, both inclusive
	Side        string // written right of the box, for example a score
	Mark        string // merge or inject: the event acts on this module
}

// Stage is the structure at one point in time.
type Stage struct {
	Heading, Below string
	Boxes          []Box
	Groups         []Group // drawn in place of Boxes
	Injected       []int   // layers with LoRA in place of a module
	Mark           []int   // those of Injected that are new
}

// Stages is what Structure draws.
type Stages struct {
	Name, Title, Caption string
	Layers               int
	Side                 bool // leave room for Box.Side
	Stages               []Stage
}

// These are the sizes of a diagram, in points.
const (
	pitch     = 22 // from layer to layer
	gap       = 4  // between a layer's box and its border
	inset     = 2  // left of the layers, for the stroke
	layerW    = 52
	moduleX   = 74 // left edge of the modules, from the left edge of the layers
	moduleW   = 34
	sideW     = 36
	stageHead = 20
	stageFoot = 18
	perRow    = 6 // on a page; a phone has as many as fit
)

// Structure draws the stages side by side, as the paper's Figs. 4 and 5 do. The
// layers start with the input at the bottom, and each module is a path around
// the layers that it bridges.
func Structure(s Stages) Figure {
	width := inset + moduleX + moduleW + 14
	if s.Side {
		width += sideW
	}
	height := stageHead + s.Layers*pitch + 16 + stageFoot
	in := func(most int) drawing {
		columns := max(min(len(s.Stages), most), 1)
		rows := (len(s.Stages) + columns - 1) / columns
		return drawing{vg.Length(columns * width), vg.Length(rows * height), func(c draw.Canvas, t Theme) {
			for i, stage := range s.Stages {
				x := c.Min.X + inset + vg.Length(i%columns*width)
				top := c.Max.Y - vg.Length(i/columns*height)
				stage.draw(c, t, s.Layers, x, top)
			}
		}}
	}
	f := Figure{Name: s.Name, Title: s.Title, Caption: s.Caption, drawing: in(perRow)}
	if f.width > phoneWidth {
		// Three stages are a little wider than a phone, so the browser draws
		// them smaller.
		narrow := in(max(int(phoneWidth*1.05)/width, 1))
		f.narrow = &narrow
	}
	return f
}

func (s Stage) draw(c draw.Canvas, t Theme, layers int, x, top vg.Length) {
	head := t.text(10, t.Text)
	head.Font.Weight, head.YAlign = bold, draw.YTop
	c.FillText(head, vg.Point{X: x, Y: top}, s.Heading)
	bottom := top - stageHead - 8 - vg.Length(layers*pitch)
	// floor returns the height of the line below a layer, where its input is.
	floor := func(layer int) vg.Length { return bottom + vg.Length(layer*pitch) }
	spine := x + layerW/2
	c.StrokeLine2(t.line(t.Muted, 1), spine, floor(0)-6, spine, floor(layers)+6)
	arrow(c, vg.Point{X: spine, Y: floor(layers) + 8}, t.Muted)
	for _, b := range s.Boxes {
		b.draw(c, t, x, spine, floor)
	}
	s.drawGroups(c, t, x, floor)
	for l := range layers {
		s.layer(c, t, l,
			vg.Rectangle{Min: vg.Point{X: x, Y: floor(l) + gap}, Max: vg.Point{X: x + layerW, Y: floor(l+1) - gap}})
	}
	below := t.text(9, t.Muted)
	below.YAlign = draw.YTop
	c.FillText(below, vg.Point{X: x, Y: bottom - 10}, s.Below)
}

// layer draws the box of a layer. The box is labelled if LoRA was injected into
// the layer.
func (s Stage) layer(c draw.Canvas, t Theme, l int, r vg.Rectangle) {
	text, ink, paper, width := fmt.Sprint(l), t.Text, t.Surface, vg.Length(0.8)
	edge := t.Muted
	for _, i := range s.Injected {
		if i == l {
			text, ink, edge, paper = fmt.Sprintf("%d LoRA", l), t.Inject, t.Inject, fade(t.Inject, t.Background, 0.12)
		}
	}
	for _, i := range s.Mark {
		if i == l {
			width = 2
		}
	}
	box(c, r, paper, edge, width)
	style := t.text(9, ink)
	style.XAlign, style.YAlign = draw.XCenter, middle
	c.FillText(style, vg.Point{X: (r.Min.X + r.Max.X) / 2, Y: (r.Min.Y + r.Max.Y) / 2}, text)
}

func (b Box) draw(c draw.Canvas, t Theme, x, spine vg.Length, floor func(int) vg.Length) {
	ink := t.Module
	if b.Last > b.First {
		ink = t.Merge
	}
	edge, width := ink, vg.Length(0.9)
	if b.Mark != "" {
		edge, width = t.event(b.Mark), 2.2
	}
	r := vg.Rectangle{Min: vg.Point{X: x + moduleX, Y: floor(b.First) + gap},
		Max: vg.Point{X: x + moduleX + moduleW, Y: floor(b.Last+1) - gap}}
	// Paths of neighbouring modules are one point apart: the lower path ends
	// below the border of the layers and the upper one begins above it.
	in, out := floor(b.First)+1.6, floor(b.Last+1)-1.6
	mid := (r.Min.X + r.Max.X) / 2
	path := t.line(ink, 1)
	c.StrokeLines(path, []vg.Point{{X: spine, Y: in}, {X: mid, Y: in}, {X: mid, Y: r.Min.Y}},
		[]vg.Point{{X: mid, Y: r.Max.Y}, {X: mid, Y: out}, {X: spine + 4, Y: out}})
	c.FillPolygon(ink, []vg.Point{{X: spine + 0.5, Y: out}, {X: spine + 5, Y: out + 2}, {X: spine + 5, Y: out - 2}})
	box(c, r, fade(ink, t.Background, 0.14), edge, width)
	style := t.text(9, ink)
	style.XAlign, style.YAlign = draw.XCenter, middle
	c.FillText(style, vg.Point{X: mid, Y: (r.Min.Y + r.Max.Y) / 2}, SpanName(b.First, b.Last))
	side := t.text(9, t.Muted)
	if b.Mark != "" {
		side.Color, side.Font.Weight = edge, bold
	}
	side.YAlign = middle
	c.FillText(side, vg.Point{X: r.Max.X + 5, Y: (r.Min.Y + r.Max.Y) / 2}, b.Side)
}

// box draws a rounded rectangle.
func box(c draw.Canvas, r vg.Rectangle, paper, edge color.NRGBA, width vg.Length) {
	path := rounded(r, 3.5)
	c.SetColor(paper)
	c.Fill(path)
	c.SetLineStyle(draw.LineStyle{Color: edge, Width: width})
	c.Stroke(path)
}

// arrow draws the head of an upward arrow with its tip at p.
func arrow(c draw.Canvas, p vg.Point, clr color.NRGBA) {
	c.FillPolygon(clr, []vg.Point{p, {X: p.X - 3, Y: p.Y - 5}, {X: p.X + 3, Y: p.Y - 5}})
}
