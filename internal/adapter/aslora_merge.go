package adapter

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"

	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/schedule"
	"github.com/lor2c/lor2c/internal/strictjson"
)

// Start prints when B will be merged.
func (m *ASLoRA) Start(run Run, _ bool) error {
	if p := m.plan; p.merges > 0 {
		run.Printf("merges: %d of the B of each linear layer, every %s from step %d to step %d", p.merges,
			place.Count(p.every, "step", "steps"), p.start+p.every, p.last())
	}
	return nil
}

// Due reports whether B are merged after a step.
func (m *ASLoRA) Due(at At) bool { return m.plan.done(at.Step) > m.plan.done(at.Step-1) }

// Change merges two B of the first linear layer that has been merged less often than the plan says. It waits for the
// device.
func (m *ASLoRA) Change(at At, _ Run) (*Change, error) {
	for _, l := range m.linears {
		if len(l.B)-len(l.own()) >= m.plan.done(at.Step) {
			continue
		}
		tie := schedule.Tie{
			Step: at.Step, Epoch: at.Epoch, Linear: l.sites[0].Name, Candidates: m.candidates(l, at.Step),
			Before: l.owners(), ParametersBefore: Count(m.Params()),
		}
		if err := m.dev.Err(); err != nil {
			return nil, err
		}
		tie.Pair = slices.MinFunc(tie.Candidates, func(a, b schedule.Pair) int { return cmp.Compare(a.Distance, b.Distance) })
		left := l.B[tie.Layer]
		for layer, p := range l.B {
			if p == left {
				l.B[layer] = l.B[tie.Keep]
			}
		}
		m.dev.Free(m.sums[left].Value)
		delete(m.sums, left)
		m.connect()
		tie.After, tie.ParametersAfter = l.owners(), Count(m.Params())
		return &Change{Log: tie}, nil
	}
	return nil, nil
}

// candidates returns the distances of the means of the B of a linear layer over the steps so far. The first layer of a
// pair is the lower one.
func (m *ASLoRA) candidates(l sharedLinear, steps int) (pairs []schedule.Pair) {
	own := l.own()
	means := make([][]float64, len(own))
	for i, p := range own {
		for _, x := range m.sums[p].Values(m.dev) {
			means[i] = append(means[i], float64(x)/float64(steps))
		}
	}
	for i := range own {
		for j := i + 1; j < len(own) && (j == i+1 || m.own.Candidates == "all"); j++ {
			pairs = append(pairs,
				schedule.Pair{Layer: own[i].Layer, Keep: own[j].Layer, Distance: floats.Distance(means[i], means[j], 2)})
		}
	}
	return pairs
}

// mergePlan says after which steps B are merged: every `every` steps after start, until there were `merges`.
type mergePlan struct{ start, every, merges int }

// last is the step of the last merge.
func (p mergePlan) last() int { return p.start + p.merges*p.every }

// done returns how many of the B of a linear layer have been merged away after a step.
func (p mergePlan) done(step int) int { return min(max(step-p.start, 0)/max(p.every, 1), p.merges) }

// plan returns the plan for a run, which is empty outside a run. It returns an error if the run is too short or the
// model has too few layers.
func (c *asLoRAConfig) plan(layers, steps int) (p mergePlan, err error) {
	if steps == 0 {
		return p, nil
	}
	part := func(share float64) int { return int(math.Round(share * float64(steps))) }
	p = mergePlan{part(c.Start), max(part(c.Interval), 1), cmp.Or(c.Merges, layers*7/12)}
	if p.merges >= layers {
		return p, fmt.Errorf("adapter: attach aslora: method.merges is %d and the model has %s; want at most %d",
			p.merges, place.Count(layers, "layer", "layers"), layers-1)
	}
	if p.last() > steps {
		return p, fmt.Errorf("adapter: attach aslora: the run has %s, and the last of %d merges, every %s after "+
			"step %d, would be after step %d; want a smaller method.merges, method.merge_interval_ratio or "+
			"method.merge_start_ratio", place.Count(steps, "step", "steps"), p.merges,
			place.Count(p.every, "step", "steps"), p.start, p.last())
	}
	return p, nil
}

// layerOwners is the structure of ASLoRA: for each linear layer, such as query, the layer whose B each layer uses.
type layerOwners struct {
	Owners map[string][]int `json:"owners"`
}

// Structure returns, for each linear layer, the layer whose B each layer uses.
func (m *ASLoRA) Structure() json.RawMessage { return encoded(layerOwners{m.owners()}) }

func (m *ASLoRA) owners() map[string][]int {
	owners := map[string][]int{}
	for _, l := range m.linears {
		owners[l.sites[0].Name] = l.owners()
	}
	return owners
}

func (l sharedLinear) owners() (owners []int) {
	for _, p := range l.B {
		owners = append(owners, p.Layer)
	}
	return owners
}

// parseOwners decodes a result of Structure. nil is the structure before any merge.
func parseOwners(text json.RawMessage, layers int) (map[string][]int, error) {
	var s layerOwners
	if text == nil {
		return nil, nil
	}
	if err := strictjson.UnmarshalKnown(text, &s); err != nil {
		return nil, fmt.Errorf("structure:%w", err)
	}
	for name, owners := range s.Owners {
		fits := len(owners) == layers
		for layer, owner := range owners {
			fits = fits && owner >= layer && owner < layers && owners[owner] == owner
		}
		if !fits {
			return nil, fmt.Errorf("the owners of %s are %v; want %d layers, each the layer itself or a higher one that "+
				"owns its B: %w", place.Quote(name), owners, layers, ErrMismatch)
		}
	}
	return s.Owners, nil
}
