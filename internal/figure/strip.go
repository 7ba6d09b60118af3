package figure

import (
	"math"
	"slices"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Strip is what HeatStrip draws: a score for every module over time.
type Strip struct {
	Name, Title, Caption string
	Score                string // what the values are, such as "SFS (k = 2)"
	Layers               int
	Columns              []StripColumn // by time
}

// StripColumn is one measurement. It is drawn from the epoch of the previous
// measurement to its own.
type StripColumn struct {
	Epoch   float64
	Modules []ScoredSpan
}

// ScoredSpan is a module's layers, both inclusive, and its score.
type ScoredSpan struct {
	First, Last int
	Score       float64
}

// HeatStrip draws the scores with layers upwards and epochs to the right. A
// module of several layers is one cell of their height; a layer without a
// module is hatched.
func HeatStrip(s Strip) Figure {
	var scores []float64
	var cells []cell
	start := 0.0
	for _, column := range s.Columns {
		used := make([]bool, s.Layers)
		for _, m := range column.Modules {
			scores = append(scores, m.Score)
			cells = append(cells,
				cell{x0: start, x1: column.Epoch, y0: float64(m.First) - 0.5, y1: float64(m.Last) + 0.5, value: m.Score})
			for l := m.First; l <= m.Last; l++ {
				used[l] = true
			}
		}
		for l, covered := range used {
			if !covered {
				cells = append(cells,
					cell{x0: start, x1: column.Epoch, y0: float64(l) - 0.5, y1: float64(l) + 0.5, value: nan, hatched: true})
			}
		}
		start = column.Epoch
	}
	lo, hi := bounds(scores)
	whole := !slices.ContainsFunc(scores, func(x float64) bool { return x != math.Trunc(x) })
	height := 60 + 17*vg.Length(s.Layers)
	draw := func(c draw.Canvas, t Theme) {
		p := heatAxes(t, "epoch", "layer", 0, start, -0.5, float64(s.Layers)-0.5)
		p.y.ticks = at(counted(0, s.Layers-1, 0, 33))
		drawHeat(c, t, p, heat{cells: cells, scale: scale{lo: lo, hi: hi, stops: viridis}, t: t, numbers: 3, whole: whole},
			s.Score)
	}
	return Figure{
		Name: s.Name, Title: s.Title, Caption: s.Caption,
		drawing: drawing{pageWidth, height, draw}, narrow: &drawing{phoneWidth, height, draw},
	}
}
