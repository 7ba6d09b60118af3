package adapter

import (
	"fmt"

	"lor2c/internal/model"
	"lor2c/internal/tape"
)

// LoR2C adds a low-rank residual connection around every layer: with h the
// input of layer t, its output gains scale B_t A_t dropout(h)
// (arXiv:2503.00572, eq. 2). With Share all modules use one A (ShareLoR2C,
// section III-B).
type LoR2C struct {
	modules []module // by first layer, never overlapping
}

// module is the residual connection from the input of layer first to the output
// of layer last.
type module struct {
	first, last int
	pair
}

func newLoR2C(b builder) (Method, error) {
	m := &LoR2C{}
	var shared *tape.Param
	if b.Share {
		shared = b.loraA(b.path("encoder.lor2c.shared"), b.Rank, b.Width)
	}
	for l := range b.Layers {
		name := b.path(fmt.Sprintf("encoder.layer.%d.lor2c.%d_%d", l, l, l))
		if shared == nil {
			m.modules = append(m.modules, module{l, l, b.pair(name, b.Width, b.Width)})
			continue
		}
		m.modules = append(m.modules, module{l, l, pair{shared, b.loraB(name, b.Width, b.Rank), b.Scale(), float32(*b.Dropout)}})
	}
	return m, nil
}

// Params lists A and B of every module by layer, a shared A once and first.
func (m *LoR2C) Params() (params []*tape.Param) {
	seen := map[*tape.Param]bool{}
	for _, d := range m.modules {
		if !seen[d.A] {
			seen[d.A] = true
			params = append(params, d.A)
		}
		params = append(params, d.B)
	}
	return params
}

// Hook adds the residual connections to the layers' outputs.
func (m *LoR2C) Hook() model.Hook { return &lor2cHook{m: m, inputs: map[int]*tape.Var{}} }

type lor2cHook struct {
	model.Base
	m      *LoR2C
	inputs map[int]*tape.Var // of the modules that span this layer, by first
}

func (h *lor2cHook) Block(p *model.Pass, l int, x *tape.Var, next func(*tape.Var) *tape.Var) *tape.Var {
	for _, d := range h.m.modules {
		if d.first == l {
			h.inputs[l] = x
			if d.last > l {
				p.Keep(x)
			}
		}
	}
	y := next(x)
	for _, d := range h.m.modules {
		if d.last == l {
			d.add(p, d.first, model.SiteLoR2C, p.Match(h.inputs[d.first], y), y)
		}
	}
	return y
}
