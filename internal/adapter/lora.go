package adapter

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/tape"
)

// loraConfig are the settings of LoRA.
type loraConfig struct {
	LowRank   `yaml:",inline"`
	UseRsLoRA bool    `yaml:"use_rslora" doc:"the low-rank path is scaled by alpha over the root of the rank (rsLoRA)"`
	LRRatio   float64 `yaml:"loraplus_lr_ratio" doc:"learning rate of B over that of A (LoRA+); 1 is LoRA" range:">0.." example:"16"`
}

// Scale is alpha/r, or alpha/sqrt(r) in rsLoRA (Kalajdzievski 2023, arXiv:2312.03732, eq. 4).
func (c *loraConfig) Scale() float32 {
	if c.UseRsLoRA {
		return float32(c.Alpha / math.Sqrt(float64(c.Rank)))
	}
	return c.Factors.Scale()
}

// Variant tells rsLoRA from LoRA.
func (c *loraConfig) Variant() string {
	if c.UseRsLoRA {
		return "rank-stabilized "
	}
	return ""
}

var loraSpec = spec{
	new:          newLoRA,
	about:        "LoRA: low-rank updates of the linear layers that method.target_modules names",
	section:      func() section { return &loraConfig{LowRank: lowRankDefaults, LRRatio: 1} },
	learningRate: 1e-3,
	peftType:     "LORA",
	describe: func(d Description, _ Method, c *peftConfig) {
		own := d.Method.own.(*loraConfig)
		if c.describeLoRA(own.LowRank); own.UseRsLoRA {
			c.More = map[string]any{"use_rslora": true}
		}
	},
	fromPEFT: &peftForm{
		name: "LoRA", used: loraUsed, plain: loraPlain, tensor: `lora_[AB]\.weight`,
		values: func(c peftKeys) Values {
			return Values{"rank": c.Rank, "alpha": c.Alpha, "dropout": c.Dropout, "use_rslora": c.UseRsLoRA}
		},
	},
	library: "peft",
	load:    "Load it with `PeftModel.from_pretrained` or with `lor2c eval --adapter`.",
}

// describeLoRA fills in the keys of LoRA.
func (c *peftConfig) describeLoRA(own LowRank) {
	c.Bias, c.FanInFanOut, c.Rank, c.Alpha = "none", new(bool), own.Rank, own.Alpha
	c.Dropout, c.TargetModules = &own.Dropout, own.TargetModules
}

// LoRA adds B A to the weights of the linear layers that target_modules names,
// in every layer (Hu et al. 2021, arXiv:2106.09685, eq. 3).
type LoRA struct {
	Plain
	pairs  map[model.Site]pair
	params []*tape.Param
}

func newLoRA(b builder) (Method, error) {
	m, c := &LoRA{pairs: map[model.Site]pair{}}, settingsOf[*loraConfig](b)
	if err := b.checkTargets(c.TargetModules); err != nil {
		return nil, err
	}
	for l := range b.HiddenLayers() {
		m.add(b, c.LowRank, l)
	}
	for s, w := range m.pairs {
		w.scale = c.Scale()
		// LoRA+ (Hayou et al. 2024, arXiv:2402.12354, section 4.2).
		w.B.LRRatio = c.LRRatio
		m.pairs[s] = w
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

// anySite lists the linear layers that a layer of any network may have, each once.
func anySite() []string {
	names := slices.Clone(model.SiteNames)
	for _, name := range slices.Concat(model.MPNetSiteNames, model.DecoderSiteNames) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// checkTargets returns an error for a target module that names no linear layer of the network.
func (b builder) checkTargets(targetModules []string) error {
	if err := checkTargets(targetModules, siteNames(b)); err != nil {
		return fmt.Errorf("adapter: attach %s: %w", b.Name(), err)
	}
	return nil
}

// linears calls f for each linear layer that target modules name, by layer and by their order within it, with the path
// of the layer's tensors in a file and the widths of its input and output.
func (b builder) linears(targetModules []string, f func(s model.Site, module string, in, out int)) error {
	return b.linearsExcept(targetModules, nil, f)
}

// linearsExcept is linears without the linear layers that exclude names.
func (b builder) linearsExcept(
	targetModules, exclude []string, f func(s model.Site, module string, in, out int),
) error {
	for _, list := range [][]string{targetModules, exclude} {
		if err := b.checkTargets(list); err != nil {
			return err
		}
	}
	for l := range b.HiddenLayers() {
		b.linearsOf(l, targetModules, func(s model.Site, module string, in, out int) {
			if !targeted(exclude, s.Name) {
				f(s, module, in, out)
			}
		})
	}
	return nil
}

// linearsOf is linears for one layer, without a check of the target modules.
func (b builder) linearsOf(layer int, targetModules []string, f func(s model.Site, module string, in, out int)) {
	for _, s := range sites(b, layer, targetModules) {
		w := b.Linear(s).W.Value.Shape
		f(s, filePrefix+s.Path, w[1], w[0])
	}
}

// targets reports whether target selects the layer called name by PEFT's rule:
// target is the name, or the end of the name after a dot. A bare "dense"
// selects nothing, because in PEFT it would include the classification head.
func targets(target, name string) bool {
	return target != "dense" && (target == name || strings.HasSuffix(name, "."+target))
}

// targeted reports whether any of the target modules selects the layer called
// name.
func targeted(targetModules []string, name string) bool {
	return slices.ContainsFunc(targetModules, func(target string) bool { return targets(target, name) })
}

// sites returns the linear layers of a layer that target modules select.
func sites(n model.Network, layer int, targetModules []string) (found []model.Site) {
	for _, s := range n.Sites() {
		if s.Layer == layer && targeted(targetModules, s.Name) {
			found = append(found, s)
		}
	}
	return found
}

// add creates the pairs of a layer.
func (m *LoRA) add(b builder, c LowRank, layer int) {
	b.linearsOf(layer, c.TargetModules, func(s model.Site, module string, in, out int) {
		p := b.pair(c.Factors, module, layer, in, out)
		m.pairs[s] = p
		m.params = append(m.params, p.A, p.B)
	})
}

// Params returns A and B of every pair, by layer and in the order of the linear
// layers within it.
func (m *LoRA) Params() []*tape.Param { return m.params }

// Fold returns the pairs.
func (m *LoRA) Fold(dev compute.Device) ([]Update, error) { return updates(dev, m.pairs) }

// Hook adds the outputs of the pairs to their linear layers.
func (m *LoRA) Hook(At) model.Hook { return newPairsHook(m.pairs) }

// siteHook is the part of a hook that acts on the linear layers for which a method has something.
type siteHook[T any] struct {
	model.Base
	sites map[model.Site]T
}

func (h siteHook[T]) Adapts(s model.Site) bool {
	_, ok := h.sites[s]
	return ok
}

// pairsHook adds low-rank maps to linear layers.
type pairsHook struct{ siteHook[pair] }

func newPairsHook(pairs map[model.Site]pair) pairsHook {
	return pairsHook{siteHook[pair]{sites: pairs}}
}

func (h pairsHook) Linear(p *model.Pass, s model.Site, x, y *tape.Var) {
	w := h.sites[s]
	w.up(p, w.down(p, s.Layer, siteMask(s), x), y)
}

// These are the numbers of the dropout masks of low-rank methods in a layer:
// one for the input of the layer, then one for the input of each of its linear
// layers, in their order.
const (
	blockMask     = 0
	firstSiteMask = 1
)

// siteMask returns the number of the dropout mask on the input of a linear layer.
func siteMask(s model.Site) int { return firstSiteMask + s.Index }
