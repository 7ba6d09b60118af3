package adapter

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/place"
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
		delete(owners, l.sites[0].Name)
	}
	if others := slices.Sorted(maps.Keys(owners)); len(others) > 0 {
		return nil, fmt.Errorf("adapter: attach aslora: the structure has owners of %s, which the method does not adapt: %w",
			place.List(others), ErrMismatch)
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
