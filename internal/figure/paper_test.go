package figure

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var source = Source{Model: "RoBERTa-base", Task: "MRPC", Runs: 1, Seeds: []uint64{17}, Note: "Synthetic data."}

// spectra returns plausible spectra: eight of 128 values grow out of the noise.
func spectra() Spectra {
	s := Spectra{Source: source, Rank: 128, Most: 50}
	for e := 1; e <= 50; e++ {
		s.Epochs = append(s.Epochs, float64(e))
		var modules [][]float64
		for l := range 12 {
			var v []float64
			for i := range 128 {
				v = append(v,
					(1+0.05*float64(l))*(1-math.Exp(-float64(e)/12))*(2.4*math.Exp(-float64(i)/3)+0.12*math.Exp(-float64(i)/40)))
			}
			modules = append(modules, v)
		}
		s.Values = append(s.Values, modules)
	}
	return s
}

func grids() (all []Grid) {
	for k, task := range []string{"CoLA", "MRPC", "RTE", "STS-B"} {
		g := Grid{Task: task, Metric: map[bool]string{true: "Matthews", false: "accuracy"}[k == 0]}
		for i := range 7 {
			var values []float64
			var executed []Executed
			for m := range 7 {
				values = append(values, 0.62+0.08*float64(k)+0.012*math.Sin(float64(3*i+2*m+k))-0.0015*float64((m-3)*(m-3)))
				executed = append(executed, Executed{min(i, 12-2*m), m})
			}
			g.Values, g.Executed = append(g.Values, values), append(g.Executed, executed)
		}
		g.Values[6][6] = math.NaN()
		all = append(all, g)
	}
	return all
}

func ratios() (ratio [][]float64) {
	for e := range 30 {
		var row []float64
		for l := range 12 {
			row = append(row, math.Exp(0.8*math.Cos(float64(l)/3)-0.02*float64(e)))
		}
		ratio = append(ratio, row)
	}
	return ratio
}

// TestMeanSpectra compares with sums by hand, for modules of different length.
func TestMeanSpectra(t *testing.T) {
	got := meanSpectra([][][]float64{{{4, 2, 1}, {2, 1}, {0, 3}}, {{6}, {2, 4}}}, 2)
	if want := [][]float64{{2, 2}, {4, 4}}; !cmp.Equal(got, want) {
		t.Errorf("got %v, want %v: the mean over modules, of at most two values", got, want)
	}
}

// TestFig6Cells compares position, text, hatching and frame with a grid that
// was laid out by hand: injections increase downwards and merges to the right.
func TestFig6Cells(t *testing.T) {
	cells, sc := Grid{
		Values:   [][]float64{{0.5, 0.75}, {0.625, math.NaN()}, {0.25, 0.375}},
		Executed: [][]Executed{{{0, 0}, {0, 1}}, {{1, 0}, {}}, {{2, 0}, {1, 1}}},
	}.cells()
	want := []cell{
		{x0: -0.5, x1: 0.5, y0: 1.5, y1: 2.5, value: 50, text: "50.0"},
		{x0: 0.5, x1: 1.5, y0: 1.5, y1: 2.5, value: 75, text: "75.0", framed: true},
		{x0: -0.5, x1: 0.5, y0: 0.5, y1: 1.5, value: 62.5, text: "62.5"},
		{x0: 0.5, x1: 1.5, y0: 0.5, y1: 1.5, value: math.NaN()},
		{x0: -0.5, x1: 0.5, y0: -0.5, y1: 0.5, value: 25, text: "25.0"},
		{x0: 0.5, x1: 1.5, y0: -0.5, y1: 0.5, value: 37.5, text: "37.5", note: "1+1", hatched: true},
	}
	if d := cmp.Diff(want, cells, cmp.AllowUnexported(cell{}), cmpopts.EquateNaNs()); d != "" {
		t.Errorf("cells (-want +got):\n%s", d)
	}
	if sc.lo != 25 || sc.hi != 75 {
		t.Errorf("colours from %v to %v, want 25 to 75", sc.lo, sc.hi)
	}
}

// TestFig7Scale: a ratio of 1 has the neutral colour, and reciprocal ratios
// have the same distance from it.
func TestFig7Scale(t *testing.T) {
	cells, sc := ratioCells([][]float64{{4, 1, 0.5}, {0, math.Inf(1), math.NaN()}})
	if sc.lo != 0.25 || sc.hi != 4 || sc.colour(1) != rgb(0xf7f7f7) {
		t.Errorf("scale %v to %v, colour of 1 %v; want 0.25 to 4 and f7f7f7", sc.lo, sc.hi, sc.colour(1))
	}
	if a, b := sc.at(2), sc.at(0.5); math.Abs(a+b-1) > 1e-12 || math.Abs(a-0.75) > 1e-12 {
		t.Errorf("2 lies at %v and 1/2 at %v, want 0.75 and 0.25", a, b)
	}
	if _, sc := ratioCells([][]float64{{0.125, 2}}); sc.lo != 0.125 || sc.hi != 8 {
		t.Errorf("scale %v to %v, want 0.125 to 8", sc.lo, sc.hi)
	}
	for i, k := range cells {
		if empty := i >= 3; k.hatched != empty || math.IsNaN(k.value) != empty {
			t.Errorf("cell %d: %+v; want hatched and empty: %v", i, k, empty)
		}
	}
}

// TestFig2Caption: if a figure shows only some of the values, the caption has
// their number and the total.
func TestFig2Caption(t *testing.T) {
	if got := Fig2(spectra()).Caption; !strings.Contains(got, "the largest 50 of 128 singular values") {
		t.Errorf("caption %q", got)
	}
	tied := []Grid{{Values: [][]float64{{0.5, 0.5}}}}
	if got := Fig6(tied, source).Caption; !strings.Contains(got, "or each of several that are equally good") {
		t.Errorf("caption of a tie: %q", got)
	}
}

// TestCaptions: a caption contains the number of runs, their seeds and the
// model.
func TestCaptions(t *testing.T) {
	s := source
	s.Runs, s.Seeds = 3, []uint64{17, 18, 19}
	for _, f := range []Figure{Fig2(Spectra{Source: s}), Fig6(nil, s), Fig7(nil, s)} {
		if want := "RoBERTa-base, MRPC, 3 runs, seeds 17, 18, 19. Synthetic data."; !strings.HasSuffix(f.Caption, want) {
			t.Errorf("%s: caption %q does not end with %q", f.Name, f.Caption, want)
		}
	}
}
