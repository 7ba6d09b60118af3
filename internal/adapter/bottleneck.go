package adapter

import (
	"fmt"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/tape"
)

// bottleneckConfig are the settings of adapters.
type bottleneckConfig struct {
	Kind       string  `yaml:"kind" doc:"pfeiffer, one adapter in each layer, or houlsby, one in each half of it" words:"pfeiffer|houlsby" example:"houlsby"`
	Width      int     `yaml:"bottleneck" doc:"inner width of an adapter" range:"1..4096" example:"48"`
	Activation string  `yaml:"activation" doc:"activation of an adapter; empty means relu for pfeiffer and silu for houlsby" words:"|relu|silu|gelu" example:"gelu"`
	Scale      float64 `yaml:"adapter_scale" doc:"factor of an adapter's output" range:">0.."`
	Init       string  `yaml:"adapter_init" doc:"initial weights: normal, of standard deviation 0.02, or zero_up, with which the model begins unchanged" words:"normal|zero_up" example:"zero_up"`
	DropFirst  int     `yaml:"drop_first" doc:"the first layers, this many of them, have no adapter (AdapterDrop)" range:"0..1000" example:"4"`
	RobustDrop bool    `yaml:"robust_drop" doc:"each step trains without the adapters of the first layers, a number that each step draws"`
}

func (*bottleneckConfig) Validate() []error { return nil }

// Resolve fills in the activation.
func (c *bottleneckConfig) Resolve() {
	if c.Activation == "" {
		c.Activation = map[string]string{"pfeiffer": "relu", "houlsby": "silu"}[c.Kind]
	}
}

// Variant names the kind.
func (c *bottleneckConfig) Variant() string { return c.Kind + " " }

var bottleneckSpec = spec{
	new:   newBottleneck,
	about: "adapters: a trained bottleneck in each layer (pfeiffer, AdapterDrop) or in each half of it (houlsby)",
	section: func() section {
		return &bottleneckConfig{Kind: "pfeiffer", Width: 48, Scale: 1, Init: "normal"}
	},
	learningRate: 3e-4,
	peftType:     "ADAPTER",
	describe: func(d Description, _ Method, c *peftConfig) {
		own := d.Method.own.(*bottleneckConfig)
		c.More = map[string]any{
			"kind": own.Kind, "r": own.Width, "act": own.Activation, "scale": own.Scale, "drop_first": own.DropFirst,
			"init": own.Init,
		}
	},
	library:  "lor2c",
	load:     "Load it with `lor2c eval --adapter`. An adapter is not linear, so it cannot be merged into base weights.",
	unfolded: "an adapter is not linear",
	except:   movesStart,
}

// Bottleneck puts adapters f(h) = act(h DT + d) UT + u into layers. With t the output of a half of a layer before its
// residual connection, e the residual and LN the frozen norm of that half, the half returns
//
//	houlsby:  LN(scale f(t) + t + e), in both halves (Houlsby et al. 2019, arXiv:1902.00751, section 2.1)
//	pfeiffer: LN(scale f(LN(t + e)) + t + e), after the feed-forward half (Pfeiffer et al. 2021, arXiv:2005.00247)
//
// Without a norm behind the residual connection, as in decoders, LN is the identity.
type Bottleneck struct {
	Plain
	own    *bottleneckConfig
	layers int
	at     map[halfOf]bottleneck
	params []*tape.Param
}

// halfOf is a half of a layer.
type halfOf struct {
	layer int
	half  model.Half
}

func newBottleneck(b builder) (Method, error) {
	c := settingsOf[*bottleneckConfig](b)
	m := &Bottleneck{own: c, layers: b.HiddenLayers(), at: map[halfOf]bottleneck{}}
	if c.DropFirst >= m.layers {
		return nil, fmt.Errorf("adapter: attach adapter: method.drop_first is %d and the model has %s; want at "+
			"most %d",
			c.DropFirst, place.Count(m.layers, "layer", "layers"), m.layers-1)
	}
	for l := c.DropFirst; l < m.layers; l++ {
		if c.Kind == "houlsby" {
			m.add(b, l, model.AttentionHalf, "attention.output")
		}
		m.add(b, l, model.FeedForwardHalf, "output")
	}
	return m, nil
}

// add makes the adapter of a half of a layer.
func (m *Bottleneck) add(b builder, layer int, half model.Half, name string) {
	path := fmt.Sprintf("%s%s.%s.adapter_", filePrefix, b.LayerPath(layer), name)
	w := b.bottleneck(m.own.Width, m.own.Init == "zero_up", path+"down.0", path+"up")
	for _, p := range []*tape.Param{w.down, w.downBias, w.up, w.upBias} {
		if m.own.RobustDrop {
			p.Idle = tape.OftenIdle
		}
		m.params = append(m.params, p)
	}
	m.at[halfOf{layer, half}] = w
}

// Params lists the parameters of the adapters by layer.
func (m *Bottleneck) Params() []*tape.Param { return m.params }

// Views lists the numbers of first layers without an adapter with which a robust model can be evaluated.
func (m *Bottleneck) Views() (names []string) {
	if !m.own.RobustDrop {
		return nil
	}
	for l := range m.layers {
		names = append(names, "without the adapters of "+place.Count(l, "layer", "layers"))
	}
	return names
}

// dropped returns how many of the first layers have no adapter in a pass.
func (m *Bottleneck) dropped(at At) int {
	switch {
	case at.View > 0:
		return at.View - 1
	case !at.Train || !m.own.RobustDrop:
		return 0
	}
	return drawn(at.Seed, fmt.Sprintf("adapter.drop.%d", at.Step), m.layers)
}

// Hook ends the halves of layers with adapters.
func (m *Bottleneck) Hook(at At) model.Hook { return bottleneckHook{m: m, first: m.dropped(at)} }

type bottleneckHook struct {
	model.Base
	m     *Bottleneck
	first int // layer with an adapter
}

func (h bottleneckHook) Sublayer(p *model.Pass, s model.Sublayer) *tape.Var {
	w, ok := h.m.at[halfOf{s.Layer, s.Half}]
	if !ok || s.Layer < h.first {
		return s.Norm(s.Out, s.Drop)
	}
	t := p.Dropout(s.Out, s.Drop)
	in := t
	if h.m.own.Kind == "pfeiffer" {
		in = endHalf(p, s, p.Copy(t), compute.Dropout{})
	}
	f := w.apply(p, in, activations[h.m.own.Activation])
	sum := p.Add(t, f, float32(h.m.own.Scale))
	p.Release(f)
	if in != t {
		p.Release(in)
	}
	if t != s.Out {
		p.Release(t)
	}
	return endHalf(p, s, sum, compute.Dropout{})
}
