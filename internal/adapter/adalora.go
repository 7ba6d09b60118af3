package adapter

import (
	"cmp"
	"fmt"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/tape"
)

var adaLoRASpec = spec{
	new:          newAdaLoRA,
	about:        "AdaLoRA: LoRA that moves its ranks to the linear layers where they matter most",
	section:      func() section { return adaLoRADefaults() },
	learningRate: 1e-3,
	peftType:     "ADALORA",
	describe: func(d Description, method Method, c *peftConfig) {
		own, m := d.Method.own.(*adaLoRAConfig), method.(*AdaLoRA)
		c.Bias, c.FanInFanOut, c.Alpha, c.Dropout = "none", new(bool), own.Alpha, &own.Dropout
		c.TargetModules = own.TargetModules
		c.More = map[string]any{
			"init_r": own.InitRank, "target_r": own.TargetRank, "tinit": m.plan.start, "tfinal": m.plan.final,
			"deltaT": max(m.plan.every, 1), "total_step": max(m.plan.steps, 1), "beta1": own.Beta1, "beta2": own.Beta2,
			"orth_reg_weight": own.Weight,
		}
	},
	checkStructure: checkRankPattern,
	givenUp:        maskedScalars,
	fromPEFT: &peftForm{
		name: "AdaLoRA", tensor: `lora_[ABE]`, values: adaLoRAValues,
		used: []string{"r", "init_r", "target_r", "tinit", "tfinal", "deltaT", "total_step", "beta1", "beta2",
			"orth_reg_weight", "rank_pattern", "lora_alpha", "lora_dropout", "megatron_core", "qalora_group_size"},
		plain: map[string][]string{"bias": {`"none"`}, "init_lora_weights": {`true`, `false`}},
		check: func(c peftKeys) error {
			if c.InitRank < 1 {
				return fmt.Errorf("init_r is %d; want at least 1", c.InitRank)
			}
			return nil
		},
	},
	library: "peft",
	load:    "Load it with `PeftModel.from_pretrained` or with `lor2c eval --adapter`.",
}

// AdaLoRA adds c B (e.(A dropout(x))) to linear layers, with a trained e [r,1] between the factors and c = alpha/(r +
// 1e-5), in which r is the initial rank throughout (Zhang et al. 2023, arXiv:2303.10512, section 3; the scale and the
// order of a step are those of the authors' code and of PEFT). A row of A, a column of B and the element of e between
// them are a triplet. adaLoRAPlan says how many of them are kept; the elements of the others are set to zero. Besides,
// the mean of ||A AT - I|| and ||BT B - I|| over all factors is added to the loss.
type AdaLoRA struct {
	Plain
	own  *adaLoRAConfig
	plan adaLoRAPlan
	dev  compute.Device
	at   map[model.Site]adaLoRASite
	// params are A and B of every layer, then e of every layer. The optimizer keeps them in this order in one buffer, so
	// that all of them, and all e, are one tensor each.
	params []*tape.Param
	sites  []adaLoRASite
	// Moving averages of the sensitivities of params and of their deviations [n], and the scores of the triplets by layer.
	mean, deviation, scores *tape.Param
	masked                  bool        // elements of e have been set to zero
	stored                  rankPattern // of the file that the method's values come from
	perEpoch                int         // steps
}

type adaLoRASite struct {
	model.Site
	pair
	e *tape.Param
}

func newAdaLoRA(b builder) (Method, error) {
	c := settingsOf[*adaLoRAConfig](b)
	m := &AdaLoRA{own: c, dev: b.dev, at: map[model.Site]adaLoRASite{}, masked: b.Structure != nil,
		perEpoch: cmp.Or(b.Run.StepsPerEpoch, b.Run.Steps)}
	err := b.linears(c.TargetModules, func(s model.Site, module string, in, out int) {
		w := adaLoRASite{s, pair{
			b.param(module+".lora_A", c.InitRank, in), b.param(module+".lora_B", out, c.InitRank),
			float32(c.Alpha / (float64(c.InitRank) + 1e-5)), float32(c.Dropout),
		}, b.param(module+".lora_E", c.InitRank, 1)}
		w.A.Factor, w.A.Layer, w.B.Factor, w.B.Layer = "A", s.Layer, "B", s.Layer
		for _, p := range []*tape.Param{w.A, w.B} {
			if c.Weight == 0 { // no gradient while e is zero
				p.Idle = tape.IdleAtStart
			}
			b.normal(p, 0.02)
		}
		m.at[s], m.sites = w, append(m.sites, w)
		m.params = append(m.params, w.A, w.B)
	})
	if err != nil {
		return nil, err
	}
	for _, w := range m.sites {
		m.params = append(m.params, w.e)
	}
	if err := m.readPattern(b.Structure); err != nil {
		return nil, fmt.Errorf("adapter: attach adalora: %w", err)
	}
	if m.plan, err = c.plan(len(m.sites), b.Run.Steps); err != nil || m.plan.steps == 0 {
		return m, err
	}
	state := func(name string, n int) *tape.Param {
		return &tape.Param{Name: "adalora." + name, Value: b.dev.Alloc(compute.Shape{n}, compute.Exact)}
	}
	n := Count(m.params)
	m.mean, m.deviation, m.scores = state("sensitivity", n), state("deviation", n), state("scores", m.plan.triplets)
	return m, nil
}

// Params lists A and B of every layer, then e of every layer.
func (m *AdaLoRA) Params() []*tape.Param { return m.params }

// State lists the moving averages and the scores of a run.
func (m *AdaLoRA) State() []*tape.Param {
	if m.mean == nil {
		return nil
	}
	return []*tape.Param{m.mean, m.deviation, m.scores}
}

// Hook adds the low-rank paths to their linear layers and the penalty to the loss.
func (m *AdaLoRA) Hook(at At) model.Hook {
	return adaLoRAHook{siteHook[adaLoRASite]{sites: m.at}, m, at}
}

type adaLoRAHook struct {
	siteHook[adaLoRASite]
	m  *AdaLoRA
	at At
}

func (h adaLoRAHook) Linear(p *model.Pass, s model.Site, x, y *tape.Var) {
	w := h.sites[s]
	u := w.down(p, s.Layer, siteMask(s), x)
	p.Rescale(u, flat(w.e), compute.ScaleOpts{})
	w.up(p, u, y)
}

// Loss adds the penalty once in a step. Its norms are not squared, as in the authors' code and in PEFT.
func (h adaLoRAHook) Loss(p *model.Pass, _ *tape.Var, _ func() *tape.Var, loss compute.Tensor, _ float32) {
	if h.m.own.Weight == 0 || h.at.Pass > 0 || !h.at.Train {
		return
	}
	scale, r := float32(h.m.own.Weight/float64(2*len(h.m.sites))), h.m.own.InitRank
	gram := p.Dev.Temp(compute.Shape{r, r}, compute.Exact)
	for _, w := range h.m.sites {
		a, b := w.A.Exact(), w.B.Exact()
		p.Dev.Gemm(gram, 1, a, false, a, true, false)
		p.Dev.Orthogonality(loss, gram, scale)
		p.Dev.Gemm(w.A.Grad, 2, gram, false, a, false, true)
		p.Dev.Gemm(gram, 1, b, true, b, false, false)
		p.Dev.Orthogonality(loss, gram, scale)
		p.Dev.Gemm(w.B.Grad, 2, b, false, gram, false, true)
	}
	p.Dev.Release(gram)
}

// Fold returns the kept triplets as low-rank maps, with e in A. A linear layer without any has one of zeros.
func (m *AdaLoRA) Fold(dev compute.Device) (list []Update, err error) {
	for s, w := range m.at {
		u := Update{Site: s, In: w.A.Value.Shape[1], Out: w.B.Value.Shape[0], Scale: w.scale}
		a, b, e := w.A.Values(dev), w.B.Values(dev), w.e.Values(dev)
		var columns []int
		for k, x := range e {
			if x == 0 && (k < len(e)-1 || columns != nil) {
				continue
			}
			for _, v := range a[k*u.In : (k+1)*u.In] {
				u.A = append(u.A, x*v)
			}
			columns = append(columns, k)
		}
		u.Rank = len(columns)
		for o := range u.Out {
			for _, k := range columns {
				u.B = append(u.B, b[o*len(e)+k])
			}
		}
		list = append(list, u)
	}
	return inOrder(list), dev.Err()
}
