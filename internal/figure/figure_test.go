package figure

import (
	"bytes"
	"encoding/xml"
	"errors"
	"image/color"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// all returns figures of every kind, some of them without data.
func all() []Figure {
	marks := []Mark{{Epoch: 1, Action: "merge", Label: "8–9"}, {Epoch: 1, Action: "inject", Label: "6"}}
	panel := Panel{YLabel: "loss", Zero: true, Series: []Series{
		{Name: "a name <&> that is far too long to be written beside a curve", X: []float64{0.5, 1, 1.5},
			Y: []float64{2, math.NaN(), 1}},
		{Name: "b", X: []float64{0, 3}, Y: []float64{1, math.Inf(1)}, Points: true, Steps: true, Colour: 7}}}
	return []Figure{
		Fig2(spectra()), Fig6(grids(), source), Fig7(ratios(), source),
		Lines(Chart{Name: "lines", Title: "A < B & C", Panels: []Panel{panel, panel}, Marks: marks}),
		Scatter(Cross{Name: "scatter",
			Clouds: []Cloud{{Action: "merge", X: []float64{1, 2}, Y: []float64{0, -1}, Chosen: []bool{false, true}}}}),
		HeatStrip(Strip{Name: "strip", Layers: 3, Columns: []StripColumn{{Epoch: 1.5, Modules: []ScoredSpan{{0, 1, 0.5}}}}}),
		SmallSpectra(SpectraGrid{Name: "spectra",
			Modules: []ModuleSpectra{{Name: "layer 0", Epochs: []float64{1}, Values: [][]float64{{2, 1}}}}}),
		Structure(Stages{Name: "structure", Layers: 2, Side: true, Stages: []Stage{
			{Heading: "before", Boxes: []Box{{First: 0, Last: 1, Side: "0.5", Mark: "merge"}}},
			{Injected: []int{1}, Mark: []int{1}}}}),
		Fig2(Spectra{}), Fig6(nil, Source{}), Fig7(nil, Source{}), Lines(Chart{Panels: []Panel{{}}}), HeatStrip(Strip{}),
	}
}

// TestBytes: a figure has the same bytes each time it is drawn, differs between
// themes, and can be read by encoding/xml and image/png.
func TestBytes(t *testing.T) {
	again := all()
	for i, f := range all() {
		light, dark := f.SVG(Light()), f.SVG(Dark())
		if !bytes.Equal(light, again[i].SVG(Light())) || !bytes.Equal(dark, again[i].SVG(Dark())) {
			t.Errorf("%s: drawn twice, the SVG differs", f.Name)
		}
		if bytes.Equal(light, dark) {
			t.Errorf("%s: light and dark are the same", f.Name)
		}
		d := xml.NewDecoder(bytes.NewReader(light))
		for {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", f.Name, err)
			}
			if e, ok := token.(xml.StartElement); ok && (e.Name.Local == "script" || e.Name.Local == "image") {
				t.Errorf("%s: has a %s", f.Name, e.Name.Local)
			}
		}
		if bytes.Contains(light, []byte("NaN")) || bytes.Contains(light, []byte("Inf")) {
			t.Errorf("%s: a coordinate is not finite", f.Name)
		}
	}
}

func TestWriteFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	f := Fig7([][]float64{{1, 2}}, source)
	if err := WriteFiles(dir, []Figure{f}); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "fig7.png"))
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	if got := img.Bounds().Dx(); got != 3*(720+2*18) {
		t.Errorf("PNG is %d pixels wide; want three per point of 720 and two margins", got)
	}
	if again, err := f.PNG(Light()); err != nil || !bytes.Equal(raw, again) {
		t.Errorf("drawn twice, the PNG differs (%v)", err)
	}
	svg, err := os.ReadFile(filepath.Join(dir, "fig7.svg"))
	if err != nil || !strings.Contains(string(svg), "<title>Size of gradients: LoR2C over LoRA</title>") {
		t.Errorf("SVG without its title: %v", err)
	}
	blocked := filepath.Join(dir, "fig7.png", "x")
	if err := WriteFiles(blocked, []Figure{f}); err == nil || !strings.Contains(err.Error(), "figure: write figures: ") {
		t.Errorf("into a file: %v", err)
	}
}

// TestViridis compares colours with matplotlib's values (cm.viridis(x) times
// 255, rounded).
func TestViridis(t *testing.T) {
	s := scale{lo: 0, hi: 1, stops: viridis}
	for _, tt := range []struct {
		at   float64
		want color.NRGBA
	}{{0, rgb(0x440154)}, {0.25, rgb(0x3b528b)}, {0.5, rgb(0x21918c)}, {0.75, rgb(0x5ec962)}, {1, rgb(0xfde725)}, {-3,
		rgb(0x440154)}, {9, rgb(0xfde725)}} {
		if got := s.colour(tt.at); got != tt.want {
			t.Errorf("at %v: %v, want %v", tt.at, got, tt.want)
		}
	}
}

// TestContrast checks the themes against WCAG 2.2, which wants a contrast of
// 4.5 for texts and for marks that are texts too. Black on white has 21 and
// #777777 on white 4.48.
func TestContrast(t *testing.T) {
	contrast := func(a, b color.NRGBA) float64 {
		x, y := luminance(a), luminance(b)
		return (max(x, y) + 0.05) / (min(x, y) + 0.05)
	}
	white := rgb(0xffffff)
	if a, b := contrast(rgb(0), white), contrast(rgb(0x777777), white); math.Abs(a-21) > 1e-9 || math.Abs(b-4.48) > 0.005 {
		t.Fatalf("contrast of black and #777777 with white is %v and %v, want 21 and 4.48", a, b)
	}
	for name, th := range map[string]Theme{"light": Light(), "dark": Dark()} {
		for _, c := range append([]color.NRGBA{th.Text, th.Muted, th.Merge, th.Inject, th.Module}, th.Series...) {
			if got := contrast(c, th.Background); got < 4.5 {
				t.Errorf("theme=%s: contrast of %v is %.2f, want 4.5", name, c, got)
			}
		}
	}
	for v := 0.0; v <= 1; v += 0.01 {
		c := scale{lo: 0, hi: 1, stops: viridis}.colour(v)
		if got := contrast(over(c), c); got < 4.5 {
			t.Errorf("text over viridis at %v has contrast %.2f, want 4.5", v, got)
		}
	}
}

// TestOuter: a narrow figure becomes as wide as its title.
func TestOuter(t *testing.T) {
	f := Figure{Title: "A title that is wider than the drawing", drawing: drawing{width: 50, height: 10}}
	if w, _ := f.outer(Light()); w < 250 || w > 350 {
		t.Errorf("%v points wide; want room for 38 letters of 15 points, about half as wide as high", w)
	}
}

func TestTicks(t *testing.T) {
	for _, tt := range []struct {
		lo, hi float64
		want   string
	}{
		{0, 1, "0.0 0.5 1.0"},
		{0, 0.67, "0.0 0.2 0.4 0.6"},
		{0.605, 0.76, "0.65 0.70 0.75"},
		{0, 153_000, "0 50,000 100,000 150,000"},
		{-0.02, 0.021, "−0.02 0.00 0.02"},
		{999, 1001, "999 1,000 1,001"},
	} {
		var labels []string
		for _, k := range round(tt.lo, tt.hi) {
			labels = append(labels, k.label)
		}
		if got := strings.Join(labels, " "); got != tt.want {
			t.Errorf("from %v to %v: %s, want %s", tt.lo, tt.hi, got, tt.want)
		}
	}
}

// TestFitted: every text has the length that the layout computed, so that a
// wider font does not make it longer.
func TestFitted(t *testing.T) {
	for _, f := range all() {
		if f.height == 0 {
			continue // a figure without data has no texts
		}
		for _, svg := range []string{string(f.SVG(Light())), f.Inline(Dark()), f.InlineNarrow(Light())} {
			if texts, fits := strings.Count(svg, "<text "), strings.Count(svg,
				`lengthAdjust="spacingAndGlyphs"`); texts != fits {
				t.Errorf("%s: %d of %d texts have a length", f.Name, fits, texts)
			}
		}
	}
	// These are the widths of "fi" and "WW" in Liberation Sans, which equal those
	// of Arial: f has 278, i 222 and W 944 thousandths of the size.
	got := fitted(`<text x="1" style="font-weight:normal;font-size:10px;fill:#000">fi&amp;WW</text>`)
	_, rest, _ := strings.Cut(got, `textLength="`)
	length, err := strconv.ParseFloat(strings.Split(rest, `"`)[0], 64)
	if want := 10 * (0.278 + 0.222 + 0.667 + 2*0.944); err != nil || math.Abs(length-want) > 0.01 {
		t.Errorf("%s; want a length of %.5g", got, want)
	}
}

// TestNarrow: every figure of the report fits a phone.
func TestNarrow(t *testing.T) {
	for _, f := range all() {
		if strings.HasPrefix(f.Name, "fig") {
			continue // figures of the paper are not part of a page
		}
		width := f.width
		if f.narrow != nil {
			width = f.narrow.width
		}
		if width > 1.06*phoneWidth {
			t.Errorf("%s is %v wide, want at most %v", f.Name, width, phoneWidth)
		}
	}
}

// TestExtent: an axis begins at zero if the curve then still fills it, and is
// marked as cut otherwise.
func TestExtent(t *testing.T) {
	for _, tt := range []struct {
		name string
		p    Panel
		cut  bool
		lo   float64
	}{
		{"loss that falls far", Panel{Series: []Series{{Y: []float64{2, 0.1}}}}, false, 0},
		{"loss that hardly falls", Panel{Series: []Series{{Y: []float64{0.69, 0.63}}}}, true, 0.6276},
		{"zero is wanted", Panel{Zero: true, Series: []Series{{Y: []float64{0.69, 0.63}}}}, false, 0},
		{"the level counts", Panel{Series: []Series{{Y: []float64{0.7, 0.76}}}, Levels: []Level{{"", 0.1}}}, false, 0},
		{"and the interval", Panel{Series: []Series{{Y: []float64{0.7, 0.76}, Low: []float64{0.2, nan}}}}, false, 0},
		{"negative", Panel{Series: []Series{{Y: []float64{-0.5, 0.5}}}}, false, -0.54},
	} {
		t.Run("case="+tt.name, func(t *testing.T) {
			if lo, _ := tt.p.extent(); tt.p.Cut() != tt.cut || math.Abs(lo-tt.lo) > 1e-9 {
				t.Errorf("begins at %v, cut %v; want %v, %v", lo, tt.p.Cut(), tt.lo, tt.cut)
			}
		})
	}
}

func TestRoundUp(t *testing.T) {
	for v, want := range map[float64]float64{1.25: 1.5, 1: 1, 2.26: 3, 0.31: 0.4} {
		if got := roundUp(v); math.Abs(got-want) > 1e-9 {
			t.Errorf("the axis of %v ends at %v, want %v", v, got, want)
		}
	}
}

// TestWholeScores: scores that are whole numbers, such as ranks, are written without decimals.
func TestWholeScores(t *testing.T) {
	for score, want := range map[float64]string{2: "2", 2.5: "2.500"} {
		svg := string(HeatStrip(Strip{Name: "strip", Score: "rank", Layers: 2, Columns: []StripColumn{
			{Epoch: 1, Modules: []ScoredSpan{{0, 0, score}, {1, 1, 4}}},
		}}).SVG(Light()))
		if !strings.Contains(svg, ">"+want+"</text>") || score == 2 && strings.Contains(svg, "2.000") {
			t.Errorf("%g is not written as %s", score, want)
		}
	}
}
