package adapter

import (
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/tape"
)

// prefixConfig are the settings of prefix tuning.
type prefixConfig struct {
	Tokens int    `yaml:"num_virtual_tokens" doc:"trained keys and values in front of each sequence, in every layer" range:"1..4096" example:"20"`
	Init   string `yaml:"prefix_init" doc:"initial values: normal, of standard deviation 1, or zero" words:"normal|zero" example:"zero"`
}

func (*prefixConfig) Validate() []error { return nil }

var prefixSpec = spec{
	new:          newPrefix,
	about:        "prefix tuning: trained keys and values in front of those of each sequence, in every layer",
	section:      func() section { return &prefixConfig{20, "normal"} },
	learningRate: 1e-2,
	peftType:     "PREFIX_TUNING",
	describe: func(d Description, m Method, c *peftConfig) {
		own := d.Method.own.(*prefixConfig)
		c.More = map[string]any{
			"num_virtual_tokens": own.Tokens, "token_dim": m.Params()[0].Value.Shape[1], "num_layers": d.Base.Layers,
			"num_transformer_submodules": 1, "prefix_projection": false,
		}
	},
	library: "lor2c",
	load: "Load it with `lor2c eval --adapter`. It holds keys and values of every layer, which cannot be merged " +
		"into base weights.",
	unfolded: "its keys and values are rows that no weight has",
	except:   movesStart,
}

// Prefix puts P trained keys and values in front of the keys and values of every sequence, in every layer, where all
// queries attend to them (Li and Liang 2021, arXiv:2101.00190, section 4, without its reparametrisation). Positions of
// tokens are the base model's.
type Prefix struct {
	Plain
	tokens       int
	keys, values []*tape.Param // by layer, [P,HKV*D]
}

func newPrefix(b builder) (Method, error) {
	c := settingsOf[*prefixConfig](b)
	m := &Prefix{tokens: c.Tokens}
	for l := range b.HiddenLayers() {
		draw := func(name string) *tape.Param {
			p := b.param(filePrefix+b.LayerPath(l)+"."+name, c.Tokens, b.KeyValueSize())
			if c.Init == "normal" {
				b.normal(p, 1)
			}
			return p
		}
		m.keys, m.values = append(m.keys, draw("prefix_key")), append(m.values, draw("prefix_value"))
	}
	return m, nil
}

// Params lists the keys and values of each layer.
func (m *Prefix) Params() (all []*tape.Param) {
	for l := range m.keys {
		all = append(all, m.keys[l], m.values[l])
	}
	return all
}

// Hook puts the prefixes in front of keys and values.
func (m *Prefix) Hook(At) model.Hook { return prefixHook{m: m} }

type prefixHook struct {
	model.Base
	m *Prefix
}

// Inputs returns the rows at which the keys of each sequence begin behind the prefixes of it and of those before it.
func (h prefixHook) Inputs(b model.Batch) [][]int32 {
	cu := make([]int32, len(b.Cu))
	for i, row := range b.Cu {
		cu[i] = row + int32(i*h.m.tokens)
	}
	return [][]int32{cu}
}

func (h prefixHook) KV(p *model.Pass, l int, kv model.KV) model.KV {
	k, v := p.PrependRows(kv.K, h.m.keys[l], kv.Cu), p.PrependRows(kv.V, h.m.values[l], kv.Cu)
	p.Release(kv.K, kv.V)
	return model.KV{K: k, V: v, Cu: p.Inputs[0], Longest: kv.Longest + h.m.tokens}
}
