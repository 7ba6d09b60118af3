package adapter

import (
	"fmt"
	"strings"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/tape"
)

// shareLoRAConfig are the settings of ShareLoRA.
type shareLoRAConfig struct {
	LowRank       `yaml:",inline"`
	SharedFactors string `yaml:"shared_factors" doc:"the factors that all layers share" words:"A|B|AB" example:"AB"`
	Scope         string `yaml:"share_scope" doc:"which linear layers share a factor: site, those of the same name in all layers, or all, every one of the same width" words:"site|all" example:"all"`
}

var shareLoRASpec = spec{
	new:          newShareLoRA,
	about:        "ShareLoRA: LoRA whose A, B or both are one for all layers, for each linear layer of a layer",
	section:      func() section { return &shareLoRAConfig{lowRankDefaults, "A", "site"} },
	learningRate: 1e-3,
	peftType:     "SHARELORA",
	describe: func(d Description, _ Method, c *peftConfig) {
		own := d.Method.own.(*shareLoRAConfig)
		c.describeLoRA(own.LowRank)
		c.More = map[string]any{"share": own.SharedFactors, "scope": own.Scope}
	},
	library: "lor2c",
	load: "Load it with `lor2c eval --adapter`. Its shared factors are stored once; with a copy for each layer it " +
		"is LoRA.",
}

// ShareLoRA adds B A to linear layers like LoRA. Query projections of all layers share the factors that shared_factors
// names, and so does every other linear layer (Song et al. 2024, arXiv:2406.10785, section 3). With share_scope all,
// one factor serves every linear layer of the same input width, for A, or output width, for B.
type ShareLoRA struct {
	Plain
	pairs  map[model.Site]pair
	params []*tape.Param
}

func newShareLoRA(b builder) (Method, error) {
	m, c := &ShareLoRA{pairs: map[model.Site]pair{}}, settingsOf[*shareLoRAConfig](b)
	shared := map[string]*tape.Param{}
	factor := func(s model.Site, module, name string, width int, make func(module string) *tape.Param) *tape.Param {
		if !strings.Contains(c.SharedFactors, name) {
			p := make(module)
			m.params = append(m.params, p)
			return p
		}
		of := s.Name
		if c.Scope == "all" {
			of = fmt.Sprintf("width_%d", width)
		}
		key := name + of
		if shared[key] == nil {
			p := make(filePrefix + b.Path() + ".sharelora." + of)
			p.Factor = "" // it belongs to no layer
			shared[key], m.params = p, append(m.params, p)
		}
		return shared[key]
	}
	err := b.linears(c.TargetModules, func(s model.Site, module string, in, out int) {
		down := factor(s, module, "A", in,
			func(module string) *tape.Param { return b.lowRankA(module, s.Layer, c.Rank, in) })
		up := factor(s, module, "B", out,
			func(module string) *tape.Param { return b.lowRankB(module, s.Layer, out, c.Rank) })
		m.pairs[s] = pair{down, up, c.Scale(), float32(c.Dropout)}
	})
	return m, err
}

// Params lists the factors in the order of their first use.
func (m *ShareLoRA) Params() []*tape.Param { return m.params }

// Fold returns the pairs.
func (m *ShareLoRA) Fold(dev compute.Device) ([]Update, error) { return updates(dev, m.pairs) }

// Hook adds the pairs' outputs to their linear layers.
func (m *ShareLoRA) Hook(At) model.Hook { return newPairsHook(m.pairs) }
