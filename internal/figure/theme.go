package figure

import (
	"image/color"
	"strings"
	"sync"

	"codeberg.org/go-fonts/liberation/liberationsansbold"
	"codeberg.org/go-fonts/liberation/liberationsansregular"
	xfont "golang.org/x/image/font"
	"golang.org/x/image/font/opentype"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

const bold = xfont.WeightBold

// sans is the font of figures.
var sans = font.Font{Typeface: "Liberation", Variant: "Sans"}

// fonts returns sans in both weights. It reads them at the first text, and not when the program starts.
var fonts = sync.OnceValue(func() *font.Cache {
	var faces font.Collection
	for _, weight := range []struct {
		xfont.Weight
		ttf []byte
	}{{xfont.WeightNormal, liberationsansregular.TTF}, {bold, liberationsansbold.TTF}} {
		face, err := opentype.Parse(weight.ttf)
		if err != nil {
			panic("figure: a font of this program cannot be read: " + err.Error())
		}
		own := sans
		own.Weight = weight.Weight
		faces = append(faces, font.Face{Font: own, Face: face})
	}
	return font.NewCache(faces)
})

// middle is the alignment that puts the middle of digits and capitals at a
// point. gonum's YCenter uses the whole height of the font, which puts digits
// too low.
const middle text.YAlignment = -0.41

// Theme is the colours of a figure. Text and marks have a contrast of at least
// 4.5 to Background (WCAG 2.2, 1.4.3). Series differ in lightness as well as in
// hue, so that they can be told apart by colour-blind readers and on grey
// prints.
type Theme struct {
	Background, Text, Muted, Grid, Surface color.NRGBA
	Merge, Inject, Module                  color.NRGBA   // structure, and the marks of its events
	Series                                 []color.NRGBA // curves, by index
}

// Light is the theme for white paper and light pages.
func Light() Theme {
	return Theme{
		Background: rgb(0xffffff), Text: rgb(0x1b1f24), Muted: rgb(0x59636e), Grid: rgb(0xe3e7eb), Surface: rgb(0xf3f5f7),
		Merge: rgb(0x7b3294), Inject: rgb(0xb54708), Module: rgb(0x0068a8),
		Series: []color.NRGBA{rgb(0x0068a8), rgb(0xb54708), rgb(0x00785a), rgb(0x7b3294), rgb(0x6b6100), rgb(0x3d4752)},
	}
}

// Dark is the theme for dark pages and slides.
func Dark() Theme {
	return Theme{
		Background: rgb(0x14181d), Text: rgb(0xe6eaef), Muted: rgb(0x9aa5b1), Grid: rgb(0x2b333c), Surface: rgb(0x1e242b),
		Merge: rgb(0xd7a5ea), Inject: rgb(0xffa25e), Module: rgb(0x62b8f0),
		Series: []color.NRGBA{rgb(0x62b8f0), rgb(0xffa25e), rgb(0x4fd0a5), rgb(0xd7a5ea), rgb(0xe3d25b), rgb(0xc3ccd6)},
	}
}

func rgb(x uint32) color.NRGBA {
	return color.NRGBA{R: uint8(x >> 16), G: uint8(x >> 8), B: uint8(x), A: 255}
}

// series returns the colour of curve i.
func (t Theme) series(i int) color.NRGBA { return t.Series[i%len(t.Series)] }

// event returns the colour of events of an action.
func (t Theme) event(action string) color.NRGBA {
	if action == "inject" {
		return t.Inject
	}
	return t.Merge
}

// text returns the style of a text of the given size in points.
func (t Theme) text(size vg.Length, c color.Color) text.Style {
	return text.Style{Color: c, Font: font.From(sans, size), Handler: text.Plain{Fonts: fonts()}}
}

// title returns the style of the title of a figure in its own file.
func (t Theme) title() text.Style {
	style := t.text(15, t.Text)
	style.Font.Weight, style.YAlign = bold, draw.YTop
	return style
}

func (t Theme) line(c color.Color, width vg.Length) draw.LineStyle {
	return draw.LineStyle{Color: c, Width: width}
}

// wrap breaks a caption into lines of at most the given width.
func (t Theme) wrap(caption string, width vg.Length) (lines []string) {
	style := t.text(9, t.Muted)
	line := ""
	for _, word := range strings.Fields(caption) {
		if next := strings.TrimSpace(line + " " + word); line == "" || style.Width(next) <= width {
			line = next
			continue
		}
		lines, line = append(lines, line), word
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// cut removes runes from the front of a text until it fits.
func (t Theme) cut(name string, width vg.Length) string {
	runes := []rune(name)
	for i := range runes {
		short := string(runes[i:])
		if i > 0 {
			short = "\u2026" + short
		}
		if t.text(9.5, t.Text).Width(short) <= width {
			return short
		}
	}
	return name
}

// fill paints a rectangle.
func fill(c draw.Canvas, r vg.Rectangle, clr color.Color) {
	c.SetColor(clr)
	c.Fill(r.Path())
}

// rounded is the path of a rectangle with round corners.
func rounded(r vg.Rectangle, radius vg.Length) vg.Path {
	radius = min(radius, (r.Max.X-r.Min.X)/2, (r.Max.Y-r.Min.Y)/2)
	var p vg.Path
	p.Move(vg.Point{X: r.Min.X + radius, Y: r.Min.Y})
	for _, corner := range [][2]vg.Point{
		{{X: r.Max.X, Y: r.Min.Y}, {X: 0, Y: radius}},
		{{X: r.Max.X, Y: r.Max.Y}, {X: -radius, Y: 0}},
		{{X: r.Min.X, Y: r.Max.Y}, {X: 0, Y: -radius}},
		{{X: r.Min.X, Y: r.Min.Y}, {X: radius, Y: 0}},
	} {
		at, out := corner[0], corner[1]
		// The side before a corner is the direction after it, turned back by a quarter.
		p.Line(vg.Point{X: at.X - out.Y, Y: at.Y + out.X})
		p.QuadTo(at, vg.Point{X: at.X + out.X, Y: at.Y + out.Y})
	}
	p.Close()
	return p
}
