package figure

import (
	"math"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Group is layers that share something in a diagram.
type Group struct {
	Layers []int // at least two, from the lowest to the highest
	Mark   bool  // the event acts on this group
}

// lanes returns the lane of each group, such that no two groups in a lane have a layer between them in common, and the
// number of lanes.
func lanes(groups []Group) (lane []int, n int) {
	var top []int // the highest layer of each lane so far
	for _, g := range groups {
		i := 0
		for i < len(top) && top[i] >= g.Layers[0] {
			i++
		}
		if i == len(top) {
			top = append(top, 0)
		}
		top[i], lane = g.Layers[len(g.Layers)-1], append(lane, i)
	}
	return lane, len(top)
}

// drawGroups draws each group as a line beside the layers, with a dot at each layer that belongs to it. floor returns
// the height of the lower end of a layer.
func (s Stage) drawGroups(c draw.Canvas, t Theme, x vg.Length, floor func(int) vg.Length) {
	lane, n := lanes(s.Groups)
	if n == 0 {
		return
	}
	step := min(vg.Length(12), vg.Length(moduleX+moduleW-layerW-10)/vg.Length(n))
	at := func(layer int) vg.Length { return (floor(layer) + floor(layer+1)) / 2 }
	for i, g := range s.Groups {
		ink, width, size := t.Module, vg.Length(1), vg.Length(2.4)
		if g.Mark {
			ink, width, size = t.Merge, 2, 3.2
		}
		line := x + layerW + 10 + vg.Length(lane[i])*step
		c.StrokeLine2(t.line(ink, width), line, at(g.Layers[0]), line, at(g.Layers[len(g.Layers)-1]))
		for _, l := range g.Layers {
			c.StrokeLine2(t.line(t.Muted, 0.5), x+layerW, at(l), line, at(l))
			var dot vg.Path
			dot.Move(vg.Point{X: line + size, Y: at(l)})
			dot.Arc(vg.Point{X: line, Y: at(l)}, size, 0, 2*math.Pi)
			dot.Close()
			c.SetColor(ink)
			c.Fill(dot)
		}
	}
}
