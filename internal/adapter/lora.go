package adapter

import (
	"math"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/model"
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
