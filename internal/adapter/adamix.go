package adapter

import (
	"fmt"
	"math"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/tape"
)

// adaMixConfig are the settings of AdaMix.
type adaMixConfig struct {
	LowRank     `yaml:",inline"`
	Form        string  `yaml:"form" doc:"what there are several of: adapter, the bottleneck of each layer, or lora, the A of each target module" words:"adapter|lora" example:"lora"`
	Width       int     `yaml:"bottleneck" doc:"inner width of an adapter" range:"1..4096" example:"16"`
	Experts     int     `yaml:"experts" doc:"copies that a pass chooses one from" range:"1..256" example:"4"`
	ShareUp     bool    `yaml:"share_up" doc:"the copies of an adapter have one projection up"`
	Consistency float64 `yaml:"consistency_weight" doc:"weight in the loss of the divergence between two passes over a batch; 0 runs one" range:"0.." example:"1"`
	Detach      bool    `yaml:"detach" doc:"each side of the divergence is a constant for the other, as in the authors' code"`
}

// Validate accepts every setting: the tags say what is allowed.
func (*adaMixConfig) Validate() []error { return nil }

// Variant names the form.
func (c *adaMixConfig) Variant() string { return c.Form + " " }

var adaMixSpec = spec{
	new:   newAdaMix,
	about: "AdaMix: several copies of an adapter or of LoRA's A, one drawn for each pass, averaged for evaluation",
	section: func() section {
		return &adaMixConfig{LowRank: lowRankDefaults, Form: "adapter", Width: 16, Experts: 4, ShareUp: true, Consistency: 1}
	},
	learningRate: 3e-4,
	peftType:     "ADAMIX",
	describe: func(d Description, _ Method, c *peftConfig) {
		own := d.Method.own.(*adaMixConfig)
		if own.Form == "lora" {
			c.describeLoRA(own.LowRank)
		}
		c.More = map[string]any{"form": own.Form, "bottleneck": own.Width, "experts": own.Experts, "share_up": own.ShareUp}
	},
	library:    "lor2c",
	load:       "Load it with `lor2c eval --adapter`, which averages the copies.",
	foldedWith: "form: lora",
	except:     movesStart | perMicroBatch,
}

// needsSequences says that the divergence of two passes is one of whole texts.
func (c *adaMixConfig) needsSequences() string {
	if c.Consistency == 0 {
		return ""
	}
	return fmt.Sprintf("method.consistency_weight is %g, which compares outputs of whole texts; set it to 0",
		c.Consistency)
}

// AdaMix has several copies of a module and draws one of them for each pass, and for each layer (Wang et al. 2022,
// arXiv:2205.12410, section 3). In the form adapter the module is a bottleneck with GELU behind the feed-forward layer,
// before its dropout, whose halves are drawn apart; in the form lora it is A. A second pass over the batch, with draws
// and dropout masks of its own, adds the symmetric divergence of the two predictions to the loss. Evaluations use the
// mean of the copies.
type AdaMix struct {
	Plain
	b        builder
	own      *adaMixConfig
	adapters []mixedAdapter // by layer
	pairs    map[model.Site]mixedPair
	params   []*tape.Param
	mixtures []mixture
	averaged bool // the means are those of the copies
}

// mixedAdapter is D [r,C], d [r], U [C,r], u [C] of a layer.
type mixedAdapter struct{ down, downBias, up, upBias mixture }

// mixedPair is a pair of which there are several A.
type mixedPair struct {
	pair
	a mixture
}

func newAdaMix(b builder) (Method, error) {
	c := settingsOf[*adaMixConfig](b)
	m := &AdaMix{b: b, own: c, pairs: map[model.Site]mixedPair{}}
	if c.Form == "adapter" {
		for l := range b.HiddenLayers() {
			m.addAdapter(l)
		}
		return m, nil
	}
	err := b.linears(c.TargetModules, func(s model.Site, module string, in, out int) {
		values := make([]float32, c.Rank*in)
		compute.Uniform(values, b.Seed, module+".lora_A.weight", 1/math.Sqrt(float64(in)))
		a := m.mix(c.Experts, module+".lora_A", ".weight", func(p *tape.Param) { p.Upload(b.dev, values) }, c.Rank, in)
		w := pair{nil, b.lowRankB(module, s.Layer, out, c.Rank), c.Scale(), float32(c.Dropout)}
		m.pairs[s], m.params = mixedPair{w, a}, append(m.params, w.B)
	})
	return m, err
}

// addAdapter makes the adapters of a layer. Their names are those of AdapterHub with the number of the copy.
func (m *AdaMix) addAdapter(l int) {
	ups, path, b, c := 1, filePrefix+m.b.LayerPath(l)+".output.adapter_", m.b, m.own
	if !c.ShareUp {
		ups = c.Experts
	}
	normal := func(p *tape.Param) { b.normal(p, 0.02) }
	zero := func(*tape.Param) {}
	m.adapters = append(m.adapters, mixedAdapter{
		m.mix(c.Experts, path+"down", ".weight", normal, c.Width, b.HiddenSize()),
		m.mix(c.Experts, path+"down", ".bias", zero, c.Width),
		m.mix(ups, path+"up", ".weight", normal, b.HiddenSize(), c.Width),
		m.mix(ups, path+"up", ".bias", zero, b.HiddenSize()),
	})
}

// Fold returns, for the form lora, the low-rank maps with the mean of the copies of A.
func (m *AdaMix) Fold(dev compute.Device) ([]Update, error) {
	if m.own.Form != "lora" {
		return nil, fmt.Errorf("with method.form adapter there is no weight that does what the adapters do, because they " +
			"are not linear")
	}
	pairs := map[model.Site]pair{}
	m.Begin(At{})
	for s, w := range m.pairs {
		w.A = w.a.mean
		pairs[s] = w.pair
	}
	return updates(dev, pairs)
}

// Params lists the copies by layer.
func (m *AdaMix) Params() []*tape.Param { return m.params }

// Hook applies the copies that a pass draws.
func (m *AdaMix) Hook(at At) model.Hook {
	return &adaMixHook{siteHook[mixedPair]{sites: m.pairs}, m, at, 0}
}

type adaMixHook struct {
	siteHook[mixedPair]
	m     *AdaMix
	at    At
	again int // 1 in the second pass over a batch
}

// of returns the copy that the pass draws for the module called name, or the mean in an evaluation. Parameters of one
// module have the same name and so the same draw.
func (h *adaMixHook) of(x mixture, name string) *tape.Param {
	if !h.at.Train {
		return x.mean
	}
	name = fmt.Sprintf("adamix.%s.%d.%d.%d", name, h.at.Step, h.at.Pass, h.again)
	return x.copies[drawn(h.at.Seed, name, len(x.copies))]
}

func (h *adaMixHook) Sublayer(p *model.Pass, s model.Sublayer) *tape.Var {
	if h.m.adapters == nil || s.Half != model.FeedForwardHalf {
		return s.Norm(s.Out, s.Drop)
	}
	w := h.m.adapters[s.Layer]
	down, up := fmt.Sprintf("down.%d", s.Layer), fmt.Sprintf("up.%d", s.Layer)
	f := bottleneck{
		h.of(w.down, down), h.of(w.downBias, down), h.of(w.up, up), h.of(w.upBias, up),
	}.apply(p, s.Out, compute.GELU)
	sum := p.Add(s.Out, f, 1)
	p.Release(f)
	return endHalf(p, s, sum, s.Drop)
}

func (h *adaMixHook) Linear(p *model.Pass, s model.Site, x, y *tape.Var) {
	w := h.sites[s]
	one := w.pair
	one.A = h.of(w.a, s.Path)
	one.up(p, one.down(p, s.Layer, siteMask(s), x), y)
}

// Loss adds the divergence between the predictions of two passes. With one output there is none.
func (h *adaMixHook) Loss(p *model.Pass, out *tape.Var, again func() *tape.Var, loss compute.Tensor, scale float32) {
	if h.m.own.Consistency == 0 || out.Value.Shape.Cols() == 1 {
		return
	}
	seed := p.Seed
	h.again, p.Seed = 1, ^p.Seed // masks of its own
	other := again()
	h.again, p.Seed = 0, seed
	p.SymmetricKL(loss, out, other, float32(h.m.own.Consistency)*scale, h.m.own.Detach)
}
