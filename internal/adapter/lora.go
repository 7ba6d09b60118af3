package adapter

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/tape"
)

// loraConfig are the settings of LoRA.
type loraConfig struct {
	LowRank `yaml:",inline"`
}

var loraSpec = spec{
	new:          newLoRA,
	about:        "LoRA: low-rank updates of the linear layers that method.target_modules names",
	section:      func() section { return &loraConfig{lowRankDefaults} },
	learningRate: 1e-3,
	peftType:     "LORA",
	describe: func(d Description, _ Method, c *peftConfig) {
		own, no := d.Method.own.(*loraConfig), false
		c.Bias, c.FanInFanOut, c.Rank, c.Alpha = "none", &no, own.Rank, own.Alpha
		c.Dropout, c.TargetModules = own.Dropout, own.TargetModules
	},
	library: "peft",
	load:    "Load it with `PeftModel.from_pretrained` or with `lor2c eval --adapter`.",
}

// LoRA adds B A to the weight of the linear layers that target_modules names,
// in every layer (Hu et al. 2021, arXiv:2106.09685, eq. 3).
type LoRA struct {
	Plain
	pairs  map[model.Site]pair
	params []*tape.Param
}

func newLoRA(b builder) (Method, error) {
	m, c := &LoRA{pairs: map[model.Site]pair{}}, settingsOf[*loraConfig](b)
	if err := checkTargets(c.TargetModules, siteNames(b)); err != nil {
		return nil, fmt.Errorf("adapter: attach lora: %w", err)
	}
	for l := range b.HiddenLayers() {
		m.add(b, c.LowRank, l)
	}
	return m, nil
}

// checkTargets returns an error for a target module that names none of the linear layers called names.
func checkTargets(targetModules, names []string) error {
	for _, target := range targetModules {
		if !slices.ContainsFunc(names, func(name string) bool { return targets(target, name) }) {
			return fmt.Errorf("target module %s is not a linear layer of this model; want some of %v",
				place.Quote(target), names)
		}
	}
	return nil
}

// siteNames lists the linear layers of a layer of n.
func siteNames(n model.Network) (names []string) {
	for _, s := range n.Sites() {
		if s.Layer == 0 {
			names = append(names, s.Name)
		}
	}
	return names
}

// anySite lists the linear layers that a layer of any network may have.
func anySite() []string { return slices.Concat(model.SiteNames, model.DecoderSiteNames) }

// targets reports whether PEFT's rule lets target choose the layer called name:
// it is the name, or the end of it after a dot. A bare "dense" is no target,
// because in PEFT it would take in the classification head.
func targets(target, name string) bool {
	return target != "dense" && (target == name || strings.HasSuffix(name, "."+target))
}

// targeted reports whether any of the target modules chooses the layer called name.
func targeted(targetModules []string, name string) bool {
	return slices.ContainsFunc(targetModules, func(target string) bool { return targets(target, name) })
}

// sites lists the linear layers of a layer that target modules name.
func sites(n model.Network, layer int, targetModules []string) (found []model.Site) {
	for _, s := range n.Sites() {
		if s.Layer == layer && targeted(targetModules, s.Name) {
			found = append(found, s)
		}
	}
	return found
}

// add makes the pairs of a layer.
func (m *LoRA) add(b builder, c LowRank, layer int) {
	for _, s := range sites(b, layer, c.TargetModules) {
		w := b.Linear(s).W.Value.Shape
		p := b.pair(c.Factors, filePrefix+s.Path, layer, w[1], w[0])
		m.pairs[s] = p
		m.params = append(m.params, p.A, p.B)
	}
}

// Params lists A and B of every pair, by layer and by the order of
// the linear layers within it.
func (m *LoRA) Params() []*tape.Param { return m.params }

// Hook adds the pairs' outputs to their linear layers.
func (m *LoRA) Hook(At) model.Hook { return loraHook{m: m} }

type loraHook struct {
	model.Base
	m *LoRA
}

func (h loraHook) Adapts(s model.Site) bool {
	_, ok := h.m.pairs[s]
	return ok
}

func (h loraHook) Linear(p *model.Pass, s model.Site, x, y *tape.Var) {
	w := h.m.pairs[s]
	w.up(p, w.down(p, s.Layer, siteMask(s), x), y)
}

// The numbers of the dropout masks that low-rank methods draw in a layer: one on the input of the layer, then one on
// the input of each of its linear layers, in their order.
const (
	blockMask     = 0
	firstSiteMask = 1
)

// siteMask returns the number of the dropout mask on the input of a linear layer.
func siteMask(s model.Site) int { return firstSiteMask + s.Index }
