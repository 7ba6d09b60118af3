package adapter

import (
	"fmt"

	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/tape"
)

// prefixConfig are the settings of prefix tuning.
type prefixConfig struct {
	Tokens int    `yaml:"num_virtual_tokens" doc:"trained keys and values in front of each sequence, in every layer" range:"1..4096" example:"20"`
	Init   string `yaml:"prefix_init" doc:"initial values: normal, of standard deviation 1, or zero" words:"normal|zero" example:"zero"`
}

func (*prefixConfig) Validate() []error { return nil }

// Lead is the number of rows in front of each sequence.
func (c *prefixConfig) Lead() int { return c.Tokens }

var prefixSpec = spec{
	new:          newPrefix,
	about:        "prefix tuning: trained keys and values in front of those of each sequence, in every layer",
	section:      func() section { return &prefixConfig{20, "normal"} },
	learningRate: 1e-2,
	peftType:     "PREFIX_TUNING",
	describe: func(d Description, m Method, c *peftConfig) {
		own, p := d.Method.own.(*prefixConfig), m.(*Prefix)
		width := p.keys[0].Value.Shape[1]
		c.More = map[string]any{
			"num_virtual_tokens": own.Tokens, "token_dim": width, "num_layers": d.Base.Layers,
			"num_attention_heads": p.heads, "encoder_hidden_size": width, "num_transformer_submodules": 1,
			"prefix_projection": false,
		}
	},
	join:  joinPrefix,
	split: splitPrefix,
	fromPEFT: &peftForm{
		name: "prefix tuning",
		used: []string{"num_virtual_tokens", "num_layers", "num_transformer_submodules", "num_attention_heads", "token_dim",
			"encoder_hidden_size", "prefix_projection", "init_weights"},
		values: func(c peftKeys) Values { return Values{"num_virtual_tokens": c.Tokens} },
		check: func(c peftKeys) error {
			switch {
			case c.TaskType != "CAUSAL_LM":
				return fmt.Errorf("task_type is %s; PEFT has prefix tuning of CAUSAL_LM, and none of the encoders that lor2c reads",
					place.Quote(c.TaskType))
			case c.Submodules != nil && *c.Submodules != 1:
				return fmt.Errorf("num_transformer_submodules is %d; want 1, as for a decoder", *c.Submodules)
			case c.Layers < 1 || c.Layers > maxLayers:
				return fmt.Errorf("num_layers is %d; want 1 to %d", c.Layers, maxLayers)
			}
			return nil
		},
	},
	library: "peft",
	load: "Load it with `lor2c eval --adapter`, or on a decoder with `PeftModel.from_pretrained`. It holds keys and " +
		"values of every layer, which cannot be merged into base weights.",
	peftDecoders: true,
	unfolded:     "its keys and values are rows that no weight has",
	except:       movesStart,
}

// Prefix puts P trained keys and values in front of the keys and values of every sequence, in every layer, where all
// queries attend to them (Li and Liang 2021, arXiv:2101.00190, section 4, without its reparametrisation). On a decoder
// the tokens begin at position P, as in PEFT; on an encoder their positions are the base model's.
type Prefix struct {
	Plain
	tokens, heads int
	keys, values  []*tape.Param // by layer, [P,HKV*D]
}

func newPrefix(b builder) (Method, error) {
	c := settingsOf[*prefixConfig](b)
	if e, ok := b.Network.(*model.Encoder); ok && e.BiasesDistances() {
		return nil, fmt.Errorf("adapter: attach prefix: a %s encoder adds a bias for the distance of each key from the "+
			"query, which rows in front of a sequence do not have; use another method", e.Type)
	}
	m := &Prefix{tokens: c.Tokens, heads: b.KeyValueHeads()}
	if n, ok := b.Network.(model.Leader); ok {
		if err := n.Lead(b.dev, c.Tokens); err != nil {
			return nil, fmt.Errorf("adapter: attach %s: %w", b.name, err)
		}
	}
	for l := range b.HiddenLayers() {
		draw := func(kind string) *tape.Param {
			p := b.param(promptName(l, kind), c.Tokens, b.KeyValueSize())
			if c.Init == "normal" {
				b.normal(p, 1)
			}
			return p
		}
		m.keys, m.values = append(m.keys, draw("key")), append(m.values, draw("value"))
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
