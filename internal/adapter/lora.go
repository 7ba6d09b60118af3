package adapter

import (
	"slices"
	"strings"

	"lor2c/internal/model"
	"lor2c/internal/tape"
)

// LoRA adds B A to the weight of the linear layers that target_modules names,
// in every layer (Hu et al. 2021, arXiv:2106.09685, eq. 3).
type LoRA struct {
	pairs  map[model.Site]pair
	params []*tape.Param
}

func newLoRA(b builder) (Method, error) {
	m := &LoRA{pairs: map[model.Site]pair{}}
	for _, target := range b.TargetModules {
		if !slices.ContainsFunc(model.SiteNames, func(name string) bool { return targets(target, name) }) {
			return nil, noSite(target)
		}
	}
	for l := range b.Layers {
		for _, name := range model.SiteNames {
			if slices.ContainsFunc(b.TargetModules, func(target string) bool { return targets(target, name) }) {
				m.add(b, model.Site{Layer: l, Name: name})
			}
		}
	}
	return m, nil
}

// targets reports whether PEFT's rule lets target choose the layer called name:
// it is the name, or the end of it after a dot. A bare "dense" is no target,
// because in PEFT it would take in the classification head.
func targets(target, name string) bool {
	return target != "dense" && (target == name || strings.HasSuffix(name, "."+target))
}

func (m *LoRA) add(b builder, s model.Site) {
	w := b.At(s).W.Value.Shape
	p := b.pair(b.path(s.String()), w[1], w[0])
	m.pairs[s] = p
	m.params = append(m.params, p.A, p.B)
}

// Params lists A and B of every pair, by layer and by the order of
// model.SiteNames within it.
func (m *LoRA) Params() []*tape.Param { return m.params }

// Hook adds the pairs' outputs to their linear layers.
func (m *LoRA) Hook() model.Hook { return loraHook{m: m} }

type loraHook struct {
	model.Base
	m *LoRA
}

func (h loraHook) Adapts(s model.Site) bool {
	_, ok := h.m.pairs[s]
	return ok
}

func (h loraHook) Linear(p *model.Pass, s model.Site, x, y *tape.Var) {
	site := model.SiteLoRA + uint32(slices.Index(model.SiteNames, s.Name))
	h.m.pairs[s].add(p, s.Layer, site, x, y)
}
