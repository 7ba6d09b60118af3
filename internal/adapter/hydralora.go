package adapter

import (
	"fmt"
	"math"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/tape"
)

// Routed are the settings of methods with several low-rank experts in each linear layer.
type Routed struct {
	LowRank `yaml:",inline"`
	Exclude []string `yaml:"exclude_modules" doc:"linear layers that are not adapted although target_modules names them" words:"query|key|value|attention.output.dense|intermediate.dense|output.dense|q|k|v|o|q_lin|k_lin|v_lin|out_lin|lin1|lin2|q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj" example:"[attention.output.dense]"`
	Experts int      `yaml:"experts" doc:"low-rank experts of each adapted linear layer" range:"1..256" example:"4"`
}

// routedDefaults are the settings of the authors' scripts of HydraLoRA and LoRAMoE, on the linear layers that they
// adapt.
func routedDefaults(experts int) Routed {
	return Routed{LowRank{Factors{Rank: 4, Alpha: 32, Dropout: 0.05}, []string{"intermediate.dense", "output.dense"}},
		[]string{"attention.output.dense"}, experts}
}

// Validate returns a fault if the ranks of all experts together are more than a device supports.
func (c *Routed) Validate() (faults []error) {
	if c.Rank >= 1 && c.Experts >= 1 && c.Rank*c.Experts > MaxRank {
		faults = append(faults,
			fmt.Errorf("method.experts: is %d with a rank of %d; want rank times experts to be at most %d",
				c.Experts, c.Rank, MaxRank))
	}
	return faults
}

// hydraLoRAConfig are the settings of HydraLoRA.
type hydraLoRAConfig struct {
	Routed `yaml:",inline"`
}

var hydraLoRASpec = spec{
	new:          newHydraLoRA,
	about:        "HydraLoRA: one A and several B for each linear layer, weighed for each token by a trained router",
	section:      func() section { return &hydraLoRAConfig{routedDefaults(4)} },
	learningRate: 1e-3,
	peftType:     "HYDRALORA",
	describe: func(d Description, _ Method,
		c *peftConfig) {
		c.describeRouted(d.Method.own.(*hydraLoRAConfig).Routed)
	},
	library: "lor2c",
	load: "Load it with `lor2c eval --adapter`. Its experts are weighed for each token, so it cannot be merged " +
		"into base weights.",
	unfolded: "the weights of its experts depend on the token",
}

// describeRouted fills in the keys of LoRA and the number of experts.
func (c *peftConfig) describeRouted(own Routed) {
	c.describeLoRA(own.LowRank)
	c.More = map[string]any{"lora_nums": own.Experts}
}

// HydraLoRA adds to a linear layer scale (sum over i of w_i B_i) A dropout(x), where the weights w = softmax(R x) of
// the experts are computed for each token from x without dropout (Tian et al. 2024, arXiv:2404.19245, section 3.2).
type HydraLoRA struct {
	Plain
	at     map[model.Site]experts
	params []*tape.Param
}

// experts are the low-rank experts of one linear layer [M,K]. A is [r,K] or, if each expert has its own, [E r,K]. B is
// [M,E r], with r columns for each expert. The router R is [E,K].
type experts struct {
	pair
	R *tape.Param
}

func newHydraLoRA(b builder) (Method, error) {
	m, c := &HydraLoRA{at: map[model.Site]experts{}}, settingsOf[*hydraLoRAConfig](b)
	err := b.routedLinears(c.Routed, c.Rank, func(s model.Site, w experts) {
		m.at[s], m.params = w, append(m.params, w.R, w.A, w.B)
	})
	return m, err
}

// routedLinears calls f for each linear layer that c chooses, with new experts for it. rows is the height of A.
func (b builder) routedLinears(c Routed, rows int, f func(s model.Site, w experts)) error {
	return b.linearsExcept(c.TargetModules, c.Exclude, func(s model.Site, module string, in, out int) {
		f(s, b.experts(c, module, s.Layer, rows, in, out))
	})
}

// experts returns the experts of a linear layer that belongs to a layer. rows is the height of A.
func (b builder) experts(c Routed, module string, layer, rows, in, out int) experts {
	w := experts{R: b.param(module+".lora_route.weight", c.Experts, in)}
	w.R.Idle = tape.IdleAtStart
	b.uniform(w.R, 1/math.Sqrt(float64(in)))
	w.pair = pair{b.lowRankA(module, layer, rows, in), b.lowRankB(module, layer, out, c.Experts*c.Rank), c.Scale(),
		float32(c.Dropout)}
	return w
}

// weights returns the weights [N,E] of the experts for the rows of x [N,K].
func (w experts) weights(p *model.Pass, x *tape.Var) *tape.Var {
	scores := p.LowRankDown(x, w.R, compute.Dropout{})
	weights := p.Softmax(scores)
	p.Release(scores)
	return weights
}

// Params lists the router, A and B of every linear layer, by layer and by the order of the linear layers within it.
func (m *HydraLoRA) Params() []*tape.Param { return m.params }

// Hook adds the experts to their linear layers.
func (m *HydraLoRA) Hook(At) model.Hook { return hydraLoRAHook{siteHook[experts]{sites: m.at}} }

type hydraLoRAHook struct{ siteHook[experts] }

func (h hydraLoRAHook) Linear(p *model.Pass, s model.Site, x, y *tape.Var) {
	w := h.sites[s]
	weights := w.weights(p, x)
	u := w.down(p, s.Layer, siteMask(s), x)
	gated := p.Gate(weights, u)
	p.Release(weights, u)
	w.up(p, gated, y)
}
