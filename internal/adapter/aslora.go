package adapter

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/schedule"
	"github.com/lor2c/lor2c/internal/strictjson"
	"github.com/lor2c/lor2c/internal/tape"
)

// asLoRAConfig are the settings of ASLoRA.
type asLoRAConfig struct {
	LowRank    `yaml:",inline"`
	Start      float64 `yaml:"merge_start_ratio" doc:"share of the steps before the first interval between merges" range:"0..<1" example:"0.05"`
	Interval   float64 `yaml:"merge_interval_ratio" doc:"share of the steps from one merge to the next" range:">0..<1" example:"0.04"`
	Merges     int     `yaml:"merges" doc:"how many of the B of one linear layer are merged away" range:"1..1000" unset:"7 of 12" example:"3"`
	Candidates string  `yaml:"merge_candidates" doc:"which B are compared: all, or only those of adjacent layers" words:"all|adjacent" example:"adjacent"`
}

var asLoRASpec = spec{
	new:   newASLoRA,
	about: "ASLoRA: LoRA with one A for all layers, in which layers with similar B share one of them as training goes on",
	section: func() section {
		return &asLoRAConfig{LowRank: lowRankDefaults, Start: 0.0464, Interval: 0.0348, Candidates: "all"}
	},
	learningRate: 1e-3,
	peftType:     "ASLORA",
	describe: func(d Description, m Method, c *peftConfig) {
		c.describeLoRA(d.Method.own.(*asLoRAConfig).LowRank)
		c.More = map[string]any{"owners": m.(*ASLoRA).owners()}
	},
	checkStructure: func(structure json.RawMessage, layers int) error {
		_, err := parseOwners(structure, layers)
		return err
	},
	library: "lor2c",
	load: "Load it with `lor2c eval --adapter`. Its shared factors are stored once; with a copy for each layer it " +
		"is LoRA.",
}

// ASLoRA adds B A to linear layers like LoRA. All query projections share one A, and so does every other linear layer
// of all layers. During training, at regular intervals after a number of steps, two B of a linear layer are merged:
// those whose means over the steps so far have the smallest distance. Both layers continue with the B of the higher
// layer (Hu et al. 2024, arXiv:2412.10135, section 3 and algorithm 1).
type ASLoRA struct {
	Plain
	dev     compute.Device
	own     *asLoRAConfig
	linears []sharedLinear // by their order within a layer
	pairs   map[model.Site]pair
	plan    mergePlan
	sums    map[*tape.Param]*tape.Param // of each B over the steps so far, Exact; empty outside a run
}

// sharedLinear has the factors of one linear layer in all layers. Layers that share a B have the same parameter, whose
// Layer, the owner, is the highest of them.
type sharedLinear struct {
	sites []model.Site
	A     *tape.Param
	B     []*tape.Param
}

func newASLoRA(b builder) (Method, error) {
	c := settingsOf[*asLoRAConfig](b)
	m := &ASLoRA{dev: b.dev, own: c, pairs: map[model.Site]pair{}, sums: map[*tape.Param]*tape.Param{}}
	owners, err := parseOwners(b.Structure, b.HiddenLayers())
	if err != nil {
		return nil, fmt.Errorf("adapter: attach aslora: %w", err)
	}
	err = b.linears(c.TargetModules, func(s model.Site, module string, in, out int) {
		i := slices.IndexFunc(m.linears, func(l sharedLinear) bool { return l.sites[0].Name == s.Name })
		if i < 0 {
			a := b.lowRankA(filePrefix+b.Path()+".aslora."+s.Name, 0, c.Rank, in)
			a.Factor = "" // it belongs to no layer
			i, m.linears = len(m.linears), append(m.linears, sharedLinear{A: a})
		}
		l := &m.linears[i]
		l.sites, l.B = append(l.sites, s), append(l.B, nil)
		if of := owners[s.Name]; of == nil || of[s.Layer] == s.Layer {
			l.B[s.Layer] = b.lowRankB(module, s.Layer, out, c.Rank)
		}
	})
	if err != nil {
		return nil, err
	}
	for _, l := range m.linears {
		for layer, owner := range owners[l.sites[0].Name] {
			l.B[layer] = l.B[owner]
		}
	}
	m.connect()
	if m.plan, err = c.plan(b.HiddenLayers(), b.Run.Steps); err != nil || m.plan.merges == 0 {
		return m, err
	}
	for _, l := range m.linears {
		for _, p := range l.own() {
			m.sums[p] = &tape.Param{Name: "aslora.sum." + p.Name, Value: b.dev.Alloc(p.Value.Shape, compute.Exact)}
		}
	}
	return m, nil
}

// connect makes the pairs of all sites.
func (m *ASLoRA) connect() {
	for _, l := range m.linears {
		for i, s := range l.sites {
			m.pairs[s] = pair{l.A, l.B[i], m.own.Scale(), float32(m.own.Dropout)}
		}
	}
}

// own lists each B once, by layer.
func (l sharedLinear) own() (list []*tape.Param) {
	for layer, p := range l.B {
		if p.Layer == layer {
			list = append(list, p)
		}
	}
	return list
}

// Params lists A, then each B, of every linear layer.
func (m *ASLoRA) Params() (list []*tape.Param) {
	for _, l := range m.linears {
		list = append(append(list, l.A), l.own()...)
	}
	return list
}

// State has the sums of B over the steps of a run.
func (m *ASLoRA) State() (list []*tape.Param) {
	for _, p := range m.Params() {
		if sum := m.sums[p]; sum != nil {
			list = append(list, sum)
		}
	}
	return list
}

// Fold returns the pairs.
func (m *ASLoRA) Fold(dev compute.Device) ([]Update, error) { return updates(dev, m.pairs) }

// Hook adds the pairs' outputs to their linear layers.
func (m *ASLoRA) Hook(At) model.Hook { return newPairsHook(m.pairs) }

// Updated adds every B to its sum, until the last merge.
func (m *ASLoRA) Updated(at At) {
	if at.Step > m.plan.last() {
		return
	}
	for _, p := range m.Params() {
		if sum := m.sums[p]; sum != nil {
			m.dev.Axpy(sum.Value, 1, p.Exact())
		}
	}
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
		for _, x := range values(m.dev, m.sums[p]) {
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

// Start prints when B will be merged.
func (m *ASLoRA) Start(run Run, _ bool) error {
	if p := m.plan; p.merges > 0 {
		run.Printf("merges: %d of the B of each linear layer, every %s from step %d to step %d", p.merges,
			place.Count(p.every, "step", "steps"), p.start+p.every, p.last())
	}
	return nil
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
