package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/lor2c/lor2c/internal/figure"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/schedule"
)

// linears lists the linear layers of the ties in the order of their first one.
func (r *Run) linears() (names []string) {
	for _, t := range r.Ties {
		if !slices.Contains(names, t.Linear) {
			names = append(names, t.Linear)
		}
	}
	return names
}

// sharing returns a figure for each linear layer with ties: which layers share a factor at the start and after every
// tie.
func (r *Run) sharing() (all []figure.Figure) {
	for _, name := range r.linears() {
		s := figure.Stages{
			Name: "sharing-" + strings.ReplaceAll(name, ".", "-"), Title: "Shared factors of " + name,
			Caption: "Layers count from 0 and run from the bottom upwards. Layers with dots on one line share their " +
				"factor B of " + name + ". " + r.source(),
		}
		for _, t := range r.Ties {
			if t.Linear != name {
				continue
			}
			if s.Stages == nil {
				s.Layers = len(t.Before)
				s.Stages = append(s.Stages, figure.Stage{Heading: "start", Groups: groups(t.Before, -1)})
			}
			s.Stages = append(s.Stages, figure.Stage{
				Heading: "epoch " + epoch(t.Epoch), Groups: groups(t.After, t.Keep), Below: "distance " + fixed(t.Distance, 4),
			})
		}
		all = append(all, figure.Structure(s))
	}
	return all
}

// groups returns the groups of layers with one owner; that of the layer called mark is marked.
func groups(owners []int, mark int) (all []figure.Group) {
	of := map[int][]int{}
	for layer, owner := range owners {
		of[owner] = append(of[owner], layer)
	}
	for owner, layers := range of {
		if len(layers) > 1 {
			all = append(all, figure.Group{Layers: layers, Mark: owner == mark})
		}
	}
	slices.SortFunc(all, func(a, b figure.Group) int { return a.Layers[0] - b.Layers[0] })
	return all
}

// tieTable returns a table of the ties.
func (r *Run) tieTable() *table {
	t := newTable("#epoch", "#step", "linear layer", "#layer", "#takes over the factor of layer", "#distance",
		"#of the next pair", "#pairs", "#scalars of the adapter")
	for _, x := range r.Ties {
		t.add(epoch(x.Epoch), strconv.Itoa(x.Step), x.Linear, strconv.Itoa(x.Layer), strconv.Itoa(x.Keep),
			fixed(x.Distance, 4), fixed(runnerUp(x), 4), strconv.Itoa(len(x.Candidates)), figure.Thousands(x.ParametersAfter))
	}
	return t
}

// runnerUp returns the distance of the pair that would have been chosen next, or NaN if there was only one.
func runnerUp(t schedule.Tie) float64 {
	next := float64(nan)
	for _, p := range t.Candidates {
		if p != t.Pair && !(p.Distance >= next) {
			next = p.Distance
		}
	}
	return next
}

// rankedLinears lists the linear layers of the last measurement of ranks, and the number of layers.
func (r *Run) rankedLinears() (names []string, layers int) {
	for _, s := range r.Ranks[len(r.Ranks)-1].Ranks {
		if !slices.Contains(names, s.Linear) {
			names = append(names, s.Linear)
		}
		layers = max(layers, s.Layer+1)
	}
	return names, layers
}

// rankStrips returns a figure for each linear layer whose ranks change: its rank in every layer over time.
func (r *Run) rankStrips() (all []figure.Figure) {
	if len(r.Ranks) == 0 {
		return nil
	}
	names, layers := r.rankedLinears()
	for _, name := range names {
		s := figure.Strip{
			Name: "ranks-" + strings.ReplaceAll(name, ".", "-"), Title: "Ranks of " + name, Score: "rank", Layers: layers,
			Caption: fmt.Sprintf("Rank of %s in every layer, at the end of each epoch and when the ranks became final. ", name) +
				r.source(),
		}
		for _, at := range r.Ranks {
			column := figure.StripColumn{Epoch: at.Epoch}
			for _, x := range at.Ranks {
				if x.Linear == name {
					column.Modules = append(column.Modules, figure.ScoredSpan{First: x.Layer, Last: x.Layer, Score: float64(x.Rank)})
				}
			}
			s.Columns = append(s.Columns, column)
		}
		all = append(all, figure.HeatStrip(s))
	}
	return all
}

// rankTable returns a table of the last ranks, with a row for each layer.
func (r *Run) rankTable() *table {
	names, layers := r.rankedLinears()
	t := newTable("#layer")
	for _, name := range names {
		t.Head = append(t.Head, column{name, true})
	}
	for l := range layers {
		row := []string{strconv.Itoa(l)}
		for _, name := range names {
			cell := none
			for _, x := range r.Ranks[len(r.Ranks)-1].Ranks {
				if x.Layer == l && x.Linear == name {
					cell = strconv.Itoa(x.Rank)
				}
			}
			row = append(row, cell)
		}
		t.add(row...)
	}
	return t
}

// checkTie returns an error for a tie that names layers that do not exist.
func checkTie(t schedule.Tie) error {
	n := len(t.Before)
	if n < 1 || n > mostLayers || len(t.After) != n {
		return fmt.Errorf("tie: it has %s before and %d after, want equal numbers from 1 to %d",
			place.Count(n, "layer", "layers"), len(t.After),
			mostLayers)
	}
	for _, layer := range slices.Concat(t.Before, t.After, []int{t.Layer, t.Keep}) {
		if layer < 0 || layer >= n {
			return fmt.Errorf("tie: layer %d is not one of %d", layer, n)
		}
	}
	return nil
}

// checkRanks returns an error for ranks of layers that do not exist.
func checkRanks(r schedule.Ranks) error {
	for _, s := range r.Ranks {
		if s.Layer < 0 || s.Layer >= mostLayers || s.Rank < 0 {
			return fmt.Errorf("ranks: layer %d has rank %d, want a layer from 0 to %d and a rank of at least 0", s.Layer, s.Rank,
				mostLayers-1)
		}
	}
	if len(r.Ranks) == 0 {
		return fmt.Errorf("ranks: it lists none, want one for each linear layer")
	}
	return nil
}
