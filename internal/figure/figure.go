// Package figure draws the figures of runs: curves, heat maps, spectra,
// structures, and figures 2, 6 and 7 of the paper (arXiv:2503.00572). Its input
// is plain numbers, and it does not read run directories. Every figure is drawn
// with the canvases of gonum.org/v1/plot/vg in a light or a dark theme; equal
// input gives equal bytes.
package figure

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/lor2c/lor2c/internal/outfile"
)

// Figure is a drawing that can be written in several themes and file formats.
type Figure struct {
	Name    string // file name without extension
	Title   string
	Caption string // what is shown, over how many runs, and what does not follow from it

	drawing          // without title and caption
	narrow  *drawing // the same for a phone; nil if drawing is narrow enough
}

// drawing is the content of a figure with its size.
type drawing struct {
	width, height vg.Length
	draw          func(c draw.Canvas, t Theme)
}

// phoneWidth is the width of a narrow drawing, which is that of a phone's
// screen without the margins of a page.
const phoneWidth = 360 * vg.Length(1)

// These are the sizes of the parts around a drawing in its own file.
const (
	margin      = 18 * vg.Length(1)
	titleHeight = 26 * vg.Length(1)
	captionLine = 13 * vg.Length(1)
	pngDPI      = 216 // three pixels per point: 720 points fill a slide
)

// Width returns the width of the drawing in CSS pixels at which its texts have
// the intended size.
func (f Figure) Width() float64 { return f.width.Points() }

// Inline returns an svg element for a page that shows title and caption itself.
// The element has no background.
func (f Figure) Inline(t Theme) string { return f.inline(f.drawing, t) }

// InlineNarrow returns the same as Inline, laid out for the screen of a phone.
// It returns "" if the result of Inline is narrow enough.
func (f Figure) InlineNarrow(t Theme) string {
	if f.narrow == nil {
		return ""
	}
	return f.inline(*f.narrow, t)
}

func (f Figure) inline(d drawing, t Theme) string {
	c := vgsvg.New(d.width, d.height)
	d.draw(draw.New(c), t)
	return f.svg(c, d.width, d.height)
}

// SVG returns an SVG document with title, caption and background.
func (f Figure) SVG(t Theme) []byte {
	w, h := f.outer(t)
	c := vgsvg.New(w, h)
	f.drawWhole(draw.New(c), t)
	return []byte(`<?xml version="1.0" encoding="UTF-8"?>` + "\n" + f.svg(c, w, h))
}

// PNG returns a PNG image with title, caption and background and three pixels
// per point.
func (f Figure) PNG(t Theme) ([]byte, error) {
	w, h := f.outer(t)
	c := vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(w, h), vgimg.UseDPI(pngDPI))}
	f.drawWhole(draw.New(c), t)
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("figure: draw %s.png: %w", f.Name, err)
	}
	return b.Bytes(), nil
}

// WriteFiles writes Name.svg and Name.png of every figure in the light theme
// into dir. It creates dir if necessary.
func WriteFiles(dir string, figures []Figure) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("figure: write figures: %w", err)
	}
	for _, f := range figures {
		png, err := f.PNG(Light())
		if err == nil {
			err = cmp.Or(outfile.WriteBytes(filepath.Join(dir, f.Name+".png"), png),
				outfile.WriteBytes(filepath.Join(dir, f.Name+".svg"), f.SVG(Light())))
		}
		if err != nil {
			return fmt.Errorf("figure: write figures: %w", err)
		}
	}
	return nil
}

// outer returns the size of the figure with title, caption and margins.
func (f Figure) outer(t Theme) (w, h vg.Length) {
	lines := vg.Length(len(t.wrap(f.Caption, f.width)))
	return max(f.width, t.title().Width(f.Title)) + 2*margin, f.height + 2*margin + titleHeight + 8 + lines*captionLine
}

func (f Figure) drawWhole(c draw.Canvas, t Theme) {
	fill(c, c.Rectangle, t.Background)
	c.FillText(t.title(), vg.Point{X: c.Min.X + margin, Y: c.Max.Y - margin}, f.Title)
	top := c.Max.Y - margin - titleHeight
	body := draw.Canvas{Canvas: c.Canvas, Rectangle: vg.Rectangle{
		Min: vg.Point{X: c.Min.X + margin, Y: top - f.height}, Max: vg.Point{X: c.Max.X - margin, Y: top}}}
	f.draw(body, t)
	caption := t.text(9, t.Muted)
	caption.YAlign = draw.YTop
	for i, line := range t.wrap(f.Caption, f.width) {
		c.FillText(caption, vg.Point{X: body.Min.X, Y: body.Min.Y - 8 - vg.Length(i)*captionLine}, line)
	}
}

// textElement matches a text element in the output of vgsvg. Its groups are
// attributes, weight, size, colour and text.
var textElement = regexp.MustCompile(`<text ([^>]*?)\s*style="font-weight:(\w+);font-size:([0-9.]+)px([^"]*)">([^<]*)</text>`)

// fitted sets the length of every text to its length in the font that the
// drawing was laid out with. If a reader's machine has only a wider font,
// right-aligned and centred texts would otherwise move and long texts would be
// cut off.
func fitted(svg string) string {
	return textElement.ReplaceAllStringFunc(svg, func(element string) string {
		part := textElement.FindStringSubmatch(element)
		size, err := strconv.ParseFloat(part[3], 64)
		if err != nil {
			return element
		}
		style := Light().text(vg.Length(size), nil)
		if part[2] == "bold" {
			style.Font.Weight = bold
		}
		length := style.Width(html.UnescapeString(part[5]))
		if length <= 0 {
			return element
		}
		return fmt.Sprintf(`<text %s textLength="%.5g" lengthAdjust="spacingAndGlyphs" style="font-weight:%s;font-size:%spx%s">%s</text>`,
			part[1], length.Points(), part[2], part[3], part[4], part[5])
	})
}

// svg replaces the head of vgsvg's output, which fixes the size in points and
// names one font file, by a head that scales, has a title and falls back to any
// sans-serif font.
func (f Figure) svg(c *vgsvg.Canvas, w, h vg.Length) string {
	var b bytes.Buffer
	c.WriteTo(&b) // writing to a bytes.Buffer never fails
	text := b.String()
	text = text[strings.Index(text, "<svg"):]
	text = text[strings.Index(text, ">")+1:]
	text = strings.ReplaceAll(text, "font-family:Liberation Sans;font-variant:normal;", "")
	text = fitted(strings.ReplaceAll(text, ";font-style:normal", ""))
	var label bytes.Buffer
	xml.EscapeText(&label, []byte(f.Title))
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" width="%g" height="%g" role="img" `+
		`font-family="Liberation Sans,Arial,Helvetica,DejaVu Sans Condensed,sans-serif"><title>%s</title>`, w.Points(),
		h.Points(), w.Points(), h.Points(), label.String()) + text
}
