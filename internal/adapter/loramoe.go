package adapter

import (
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/tape"
)

// loRAMoEConfig are the settings of LoRAMoE.
type loRAMoEConfig struct {
	Routed  `yaml:",inline"`
	Balance float64 `yaml:"balance_weight" doc:"weight in the loss of the variation of the experts' loads" range:"0.." example:"0.1"`
}

var loRAMoESpec = spec{
	new: newLoRAMoE,
	about: "LoRAMoE: several LoRA for each linear layer, weighed for each token by a trained router, with " +
		"balanced loads",
	section:      func() section { return &loRAMoEConfig{routedDefaults(6), 0.1} },
	learningRate: 1e-3,
	peftType:     "LORAMOE",
	describe: func(d Description, _ Method, c *peftConfig) {
		own := d.Method.own.(*loRAMoEConfig)
		c.describeRouted(own.Routed)
		c.More["blc_weight"] = own.Balance
	},
	library: "lor2c",
	load: "Load it with `lor2c eval --adapter`. Its experts are weighed for each token, so it cannot be merged " +
		"into base weights.",
	unfolded: "the weights of its experts depend on the token",
	except:   perMicroBatch,
}

// LoRAMoE adds to a linear layer scale (sum over i of w_i B_i A_i) dropout(x), where the weights w = softmax(R x) of
// the experts are computed for each token from x without dropout (Dou et al. 2024, arXiv:2312.09979, section 3.2). The
// loss gains, for each linear layer, balance_weight var/mean^2 of the loads of the experts, as in the authors' code
// without types of samples. The load of an expert is the sum of its weights over the tokens of a sequence. Linear
// layers that are computed only for the rows that the head reads have no such term.
type LoRAMoE struct {
	Plain
	own    *loRAMoEConfig
	at     map[model.Site]experts
	params []*tape.Param
}

func newLoRAMoE(b builder) (Method, error) {
	c := settingsOf[*loRAMoEConfig](b)
	m := &LoRAMoE{own: c, at: map[model.Site]experts{}}
	err := b.routedLinears(c.Routed, c.Experts*c.Rank, func(s model.Site, w experts) {
		if c.Balance > 0 { // the balance gives routers a gradient, but not those of rows that the head reads
			w.R.Idle = tape.OftenIdle
		}
		m.at[s], m.params = w, append(m.params, w.R, w.A, w.B)
	})
	return m, err
}

// Params lists the router, A and B of every linear layer, by layer and by the order of the linear layers within it.
func (m *LoRAMoE) Params() []*tape.Param { return m.params }

// Hook adds the experts to their linear layers, and the balance of their loads to the loss.
func (m *LoRAMoE) Hook(At) model.Hook {
	return &loRAMoEHook{siteHook: siteHook[experts]{sites: m.at}, m: m}
}

type loRAMoEHook struct {
	siteHook[experts]
	m         *LoRAMoE
	tokens    int
	sequences int
	weights   []*tape.Var // of all linear layers that are computed for all tokens
}

// Inputs returns the number of the sequence of each token.
func (h *loRAMoEHook) Inputs(b model.Batch) [][]int32 {
	sequence := make([]int32, len(b.IDs))
	for s := range b.Len() {
		for i := b.Cu[s]; i < b.Cu[s+1]; i++ {
			sequence[i] = int32(s)
		}
	}
	h.tokens, h.sequences = len(b.IDs), b.Len()
	return [][]int32{sequence}
}

func (h *loRAMoEHook) Linear(p *model.Pass, s model.Site, x, y *tape.Var) {
	w := h.sites[s]
	weights := w.weights(p, x)
	u := w.down(p, s.Layer, siteMask(s), x)
	gated := p.GateEach(weights, u)
	if p.Train && weights.Value.Shape.Rows() == h.tokens {
		p.Retain(weights)
		h.weights = append(h.weights, weights)
	}
	p.Release(weights, u)
	w.up(p, gated, y)
}

// Loss adds the balance of the loads. A micro-batch counts by its share of the sequences of the step.
func (h *loRAMoEHook) Loss(p *model.Pass, _ *tape.Var, _ func() *tape.Var, loss compute.Tensor, scale float32) {
	if h.m.own.Balance == 0 {
		return
	}
	ones := p.Dev.Temp(compute.Shape{h.sequences, h.m.own.Experts}, compute.Exact)
	p.Dev.Fill(ones, 1)
	for _, w := range h.weights {
		p.Balance(loss, w, p.Inputs[0], ones, float32(h.m.own.Balance)*scale*float32(h.sequences))
	}
	p.Dev.Release(ones)
}
