package figure

import (
	"fmt"
	"math"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Spectra are the singular values that Fig2 draws.
type Spectra struct {
	Source
	Rank   int           // of the modules
	Most   int           // largest index to draw; the paper has 50
	Epochs []float64     // ends of epochs, rising
	Values [][][]float64 // epoch, module, index: singular values of B A, largest first
}

// Fig2 draws the singular values of W = B A over the epochs, averaged over the
// modules: the index increases downwards and the epoch to the right, as in the
// paper's Fig. 2. Colour is logarithmic and covers the range of the values, but
// at most three decades.
func Fig2(s Spectra) Figure {
	mean := meanSpectra(s.Values, s.Most)
	_, hi := bounds(mean...)
	if hi <= 0 {
		hi = 1 // every B is zero
	}
	lowest := hi
	for _, row := range mean {
		for _, v := range row {
			lowest = min(lowest, v)
		}
	}
	sc := scale{lo: max(lowest, hi/1000), hi: hi, log: true, stops: viridis}
	n := 0
	for _, row := range mean {
		n = max(n, len(row))
	}
	var cells []cell
	start := 0.0
	for e, row := range mean {
		for i, v := range row {
			cells = append(cells,
				cell{x0: start, x1: s.Epochs[e], y0: float64(n - i - 1), y1: float64(n - i), value: math.Max(v, sc.lo)})
		}
		start = s.Epochs[e]
	}
	return Figure{
		Name: "fig2", Title: "Singular values of W = BA during training", Caption: s.caption(n),
		drawing: drawing{width: pageWidth, height: 340, draw: func(c draw.Canvas, t Theme) {
			p := heatAxes(t, "epoch", "index of the singular value", 0, start, 0, float64(n))
			p.x.ticks = at(counted(1, len(mean), -0.5, 16))
			p.y.ticks = at(downwards(counted(1, n, -0.5, 12), float64(n)))
			drawHeat(c, t, p, heat{cells: cells, scale: sc, t: t, dense: true}, "singular value (log)")
		}},
	}
}

// caption returns the caption of Fig2, which shows the largest `shown` values.
func (s Spectra) caption(shown int) string {
	values := "the singular values"
	if shown < s.Rank {
		values = fmt.Sprintf("the largest %d of %d singular values", shown, s.Rank)
	}
	return fmt.Sprintf("Fig. 2. Mean over all modules of %s of BA, without the scale alpha/r, at the end of each "+
		"epoch; rank %d. They are computed with float32 Gram matrices, so that values below a thousandth of the "+
		"largest are noise; such values are drawn as a thousandth. %s", values, s.Rank, s.Source)
}

// downwards returns the ticks of an axis whose numbers increase downwards from zero at top.
func downwards(ticks []tick, top float64) []tick {
	for i := range ticks {
		ticks[i].value = top - ticks[i].value
	}
	return ticks
}

// meanSpectra returns the mean over the modules, at each index over those that
// have a value there.
func meanSpectra(values [][][]float64, most int) [][]float64 {
	mean := make([][]float64, len(values))
	for e, modules := range values {
		for i := range most {
			sum, n := 0.0, 0
			for _, m := range modules {
				if i < len(m) {
					sum, n = sum+m[i], n+1
				}
			}
			if n > 0 {
				mean[e] = append(mean[e], sum/float64(n))
			}
		}
	}
	return mean
}

// Grid is one heat map of Fig6.
type Grid struct {
	Task, Metric string
	// Values is the metric, from 0 to 1 or -1 to 1, indexed by the maxima of
	// injections and merges; NaN if there is no run.
	Values [][]float64
	// Executed is the numbers of injections and merges that were carried out.
	// Nil means that all were.
	Executed [][]Executed
}

// Executed is the numbers of operations that a run carried out.
type Executed struct{ Injects, Merges int }

// Fig6 draws a grid of runs for each task, as in the paper's Fig. 6: merges
// increase to the right and injections downwards, and every cell shows 100
// times the metric. The best cell is framed. If a run could not carry out all
// operations, its cell is hatched and shows the numbers that it carried out. A
// cell without a run is empty.
func Fig6(grids []Grid, s Source) Figure {
	const height = 270
	columns := min(max(len(grids), 1), 2)
	rows := (len(grids) + columns - 1) / columns
	return Figure{
		Name: "fig6", Title: "Score by numbers of injections and merges",
		Caption: "Fig. 6. Dev metric of the best epoch, times 100, for maxima of merges and injections; " +
			framedText(grids) + " selected on the " +
			"data that scores it, so its value is optimistic. Hatched cells carried out fewer operations, injections+merges " +
			"as written. " + s.String(),
		drawing: drawing{width: pageWidth, height: vg.Length(rows) * height, draw: func(c draw.Canvas, t Theme) {
			tiles := draw.Tiles{Rows: rows, Cols: columns, PadX: 14, PadY: 14}
			for i, g := range grids {
				g.draw(tiles.At(c, i%columns, i/columns), t)
			}
		}},
	}
}

// framedText returns the part of the caption that explains the frame. Several
// cells of a grid may be equally good.
func framedText(grids []Grid) string {
	for _, g := range grids {
		framed := 0
		cells, _ := g.cells()
		for _, k := range cells {
			if k.framed {
				framed++
			}
		}
		if framed > 1 {
			return "the best cell is framed, or each of several that are equally good. It was"
		}
	}
	return "the best cell is framed. It was"
}

func (g Grid) draw(c draw.Canvas, t Theme) {
	cells, sc := g.cells()
	rows, columns := len(g.Values), 0
	for _, row := range g.Values {
		columns = max(columns, len(row))
	}
	title := t.text(11, t.Text)
	title.Font.Weight, title.YAlign = bold, draw.YTop
	c.FillText(title, vg.Point{X: c.Min.X + 4, Y: c.Max.Y}, g.Task)
	p := heatAxes(t, "merges", "injections", -0.5, float64(columns)-0.5, -0.5, float64(rows)-0.5)
	p.x.ticks = at(counted(0, columns-1, 0, 20))
	p.y.ticks = at(downwards(counted(0, rows-1, 0, 20), float64(rows-1)))
	drawHeat(draw.Crop(c, 0, 0, 0, -16), t, p, heat{cells: cells, scale: sc, t: t}, g.Metric+" × 100")
}

// cells returns the cells of the grid, with injections increasing downwards.
func (g Grid) cells() (cells []cell, sc scale) {
	best, lowest := math.Inf(-1), math.Inf(1)
	for _, row := range g.Values {
		for _, v := range row {
			if finite(v) {
				best, lowest = max(best, v), min(lowest, v)
			}
		}
	}
	for i, row := range g.Values {
		y := float64(len(g.Values) - 1 - i)
		for m, v := range row {
			k := cell{x0: float64(m) - 0.5, x1: float64(m) + 0.5, y0: y - 0.5, y1: y + 0.5, value: 100 * v, framed: v == best}
			if finite(v) {
				k.text = fmt.Sprintf("%.1f", 100*v)
				if g.Executed != nil && g.Executed[i][m] != (Executed{i, m}) {
					k.hatched, k.note = true, fmt.Sprintf("%d+%d", g.Executed[i][m].Injects, g.Executed[i][m].Merges)
				}
			} else {
				k.value = nan
			}
			cells = append(cells, k)
		}
	}
	lo, hi := bounds([]float64{100 * lowest, 100 * best})
	return cells, scale{lo: lo, hi: hi, stops: viridis}
}

// Fig7 draws ratio[epoch][layer], the mean absolute gradient of LoR2C divided
// by that of LoRA, as a heat map. The paper's Fig. 7 shows the same as a
// surface. Colour is logarithmic around 1; ratios that are not positive and
// finite are hatched.
func Fig7(ratio [][]float64, s Source) Figure {
	cells, sc := ratioCells(ratio)
	layers := 0
	for _, row := range ratio {
		layers = max(layers, len(row))
	}
	return Figure{
		Name: "fig7", Title: "Size of gradients: LoR2C over LoRA",
		Caption: "Fig. 7. Mean absolute gradient of the elements of A and B before clipping, LoR2C's over LoRA's, by " +
			"layer (from 0) and epoch; " +
			"1 is equal, orange is larger with LoR2C. " + s.String(),
		drawing: drawing{width: pageWidth, height: 300, draw: func(c draw.Canvas, t Theme) {
			p := heatAxes(t, "epoch", "layer", 0, float64(len(ratio)), -0.5, float64(layers)-0.5)
			p.x.ticks = at(counted(1, len(ratio), -0.5, 16))
			p.y.ticks = at(counted(0, layers-1, 0, 16))
			drawHeat(c, t, p, heat{cells: cells, scale: sc, t: t, dense: len(cells) > 400, numbers: 2}, "ratio (log)")
		}},
	}
}

// ratioCells returns the cells of Fig7 and a scale whose middle is 1.
func ratioCells(ratio [][]float64) (cells []cell, sc scale) {
	reach := 1.25 // smaller differences do not get the strongest colours
	for e, row := range ratio {
		for l, v := range row {
			k := cell{x0: float64(e), x1: float64(e + 1), y0: float64(l) - 0.5, y1: float64(l) + 0.5, value: v}
			if v > 0 && finite(v) {
				reach = max(reach, v, 1/v)
			} else {
				k.value, k.hatched = nan, true
			}
			cells = append(cells, k)
		}
	}
	for _, end := range []float64{1.25, 2, 4, 5, 8, 10, 20, 50, 100} { // ends of the scale that are round numbers
		if reach <= end {
			reach = end
			break
		}
	}
	return cells, scale{lo: 1 / reach, hi: reach, log: true, stops: diverging}
}
