package adapter

import (
	"fmt"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/tape"
)

// dyLoRAConfig are the settings of DyLoRA.
type dyLoRAConfig struct {
	LowRank `yaml:",inline"`
	Update  string `yaml:"update" doc:"what a step of rank b trains: the first b rows of A and columns of B, or the last of these alone" words:"full|rows" example:"rows"`
}

var dyLoRASpec = spec{
	new: newDyLoRA,
	about: "DyLoRA: LoRA that is trained at another rank in every step, so that it works at each rank up to " +
		"method.rank",
	section:      func() section { return &dyLoRAConfig{lowRankDefaults, "full"} },
	learningRate: 1e-3,
	peftType:     "LORA",
	describe: func(d Description, _ Method, c *peftConfig) {
		c.describeLoRA(d.Method.own.(*dyLoRAConfig).LowRank)
	},
	library: "peft",
	load: "Load it with `PeftModel.from_pretrained` or with `lor2c eval --adapter`. Its first b rows of A and columns " +
		"of B are a LoRA of rank b and the same alpha.",
}

// DyLoRA adds B A to linear layers like LoRA, in a step of rank b with the first b rows of A and columns of B and the
// scale alpha/b (Valipour et al. 2023, arXiv:2210.07558, algorithm 1). b is uniform from 1 to the rank, and one for all
// layers and micro-batches of an optimizer step. Evaluations use the full rank unless At.View says another.
type DyLoRA struct {
	Plain
	b      builder
	own    *dyLoRAConfig
	pairs  map[model.Site]pair
	params []*tape.Param
	ones   *tape.Param    // [R], frozen
	scale  compute.Tensor // [R] Exact: R/b for the ranks of a pass, then 0
	last   compute.Tensor // [R] Exact: 1 for the last rank of a pass
	host   []float32
}

func newDyLoRA(b builder) (Method, error) {
	c := settingsOf[*dyLoRAConfig](b)
	shape := compute.Shape{c.Rank}
	m := &DyLoRA{
		b: b, own: c, pairs: map[model.Site]pair{}, host: make([]float32, c.Rank), ones: b.frozen("", c.Rank),
		scale: b.dev.Alloc(shape, compute.Exact), last: b.dev.Alloc(shape, compute.Exact),
	}
	b.dev.Fill(m.ones.Value, 1)
	err := b.linears(c.TargetModules, func(s model.Site, module string, in, out int) {
		p := b.pair(c.Factors, module, s.Layer, in, out)
		m.pairs[s], m.params = p, append(m.params, p.A, p.B)
	})
	return m, err
}

// rank returns the rank of a pass.
func (m *DyLoRA) rank(at At) int {
	if !at.Train {
		if at.View > 0 {
			return at.View
		}
		return m.own.Rank
	}
	return 1 + drawn(at.Seed, fmt.Sprintf("dylora.rank.%d", at.Step), m.own.Rank)
}

// Begin sets the rank of the pass.
func (m *DyLoRA) Begin(at At) {
	b := m.rank(at)
	for i := range m.host {
		m.host[i] = 0
		if i < b {
			m.host[i] = float32(float64(m.own.Rank) / float64(b))
		}
	}
	m.b.dev.Upload(m.scale, m.host)
	if m.own.Update == "rows" {
		clear(m.host)
		m.host[b-1] = 1
		m.b.dev.Upload(m.last, m.host)
	}
}

// Backward leaves, if the method trains single rows, the gradients of the last row of A and column of B of the step.
func (m *DyLoRA) Backward(at At) {
	if m.own.Update != "rows" {
		return
	}
	dev, b := m.b.dev, m.rank(at)
	for i := 0; i < len(m.params); i += 2 {
		if b > 1 {
			dev.Fill(m.params[i].Grad.View(0, b-1), 0)
		}
		dev.ScaleCols(m.params[i+1].Grad, m.params[i+1].Grad, m.ones.Value, compute.ScaleOpts{Times: m.last})
	}
}

// Views lists the ranks at which the method can be evaluated.
func (m *DyLoRA) Views() (names []string) {
	for b := range m.own.Rank {
		names = append(names, fmt.Sprintf("rank %d", b+1))
	}
	return names
}

// Params lists A and B of every pair.
func (m *DyLoRA) Params() []*tape.Param { return m.params }

// Fold returns the pairs at the full rank.
func (m *DyLoRA) Fold(dev compute.Device) ([]Update, error) { return updates(dev, m.pairs) }

// Hook adds the pairs' outputs to their linear layers.
func (m *DyLoRA) Hook(At) model.Hook { return dyLoRAHook{newPairsHook(m.pairs), m} }

type dyLoRAHook struct {
	pairsHook
	m *DyLoRA
}

func (h dyLoRAHook) Linear(p *model.Pass, s model.Site, x, y *tape.Var) {
	w := h.sites[s]
	u := w.down(p, s.Layer, siteMask(s), x)
	p.Rescale(u, h.m.ones, compute.ScaleOpts{Times: h.m.scale})
	w.up(p, u, y)
}
