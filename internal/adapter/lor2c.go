package adapter

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/schedule"
	"github.com/lor2c/lor2c/internal/tape"
)

var lor2cSpec = spec{
	new: newLoR2C,
	about: "LoR2C: low-rank residual connections around every layer; with method.share or a schedule it is " +
		"ShareLoR2C, MergeLoR2C, InjectLoR2C and IMLoR2C",
	section: func() section {
		return &lor2cConfig{
			Factors:       Factors{Rank: 8, Alpha: 16, Dropout: 0.1},
			TargetModules: lowRankDefaults.TargetModules, InjectAlpha: 16, InjectDropout: lowRankDefaults.Dropout,
		}
	},
	learningRate: 1e-3,
	peftType:     "LOR2C",
	describe:     describeLoR2C,
	checkStructure: func(structure json.RawMessage, layers int) error {
		_, err := parseStructure(structure, layers)
		return err
	},
	checkProgress: checkProgress,
	library:       "lor2c",
	unfolded:      "a module adds to the output of a whole layer and not to that of a linear layer",
	load: "Load it with `lor2c eval --adapter`, or in Python with `PeftModel.from_pretrained` and the package " +
		"lor2c_peft. A LoR2C module goes around a whole layer, so it cannot be merged into base weights or read as LoRA.",
	python: true, graph: true,
}

// LoR2C adds a low-rank residual connection around every layer: if h is the
// input of layer t, scale B_t A_t dropout(h) is added to its output
// (arXiv:2503.00572, eq. 2). With Share all modules use the same A (ShareLoR2C,
// section III-B). A merge replaces two neighbouring modules by one, and an
// injection replaces a module by LoRA; see Merge and Inject.
type LoR2C struct {
	Plain
	b        builder
	own      *lor2cConfig
	modules  []module // ordered by first layer; they never overlap
	injected *LoRA    // LoRA on the layers whose module was replaced
	order    []int    // those layers, in the order of injection
	scheduled
}

// module is the residual connection from the input of layer first to the output
// of layer last.
type module struct {
	first, last int
	pair
}

func newLoR2C(b builder) (Method, error) {
	c := settingsOf[*lor2cConfig](b)
	m := &LoR2C{b: b, own: c, injected: &LoRA{pairs: map[model.Site]pair{}}}
	s, err := parseStructure(b.Structure, b.HiddenLayers())
	if err != nil {
		return nil, fmt.Errorf("adapter: attach lor2c: %w", err)
	}
	if m.scheduled, err = newScheduled(b); err != nil {
		return nil, fmt.Errorf("adapter: attach lor2c: %w", err)
	}
	if m.config.MaxInjects > 0 {
		if err := checkInjection(b, c); err != nil {
			return nil, err
		}
	}
	var shared *tape.Param
	if c.Share && len(s.Modules) > 0 {
		shared = b.lowRankA(filePrefix+b.Path()+".lor2c.shared", 0, c.Rank, b.HiddenSize())
		shared.Factor = "" // the shared A belongs to no layer
	}
	for _, k := range s.Modules {
		name := b.moduleName(k.First, k.Last)
		if shared == nil {
			m.modules = append(m.modules,
				module{k.First, k.Last, b.pair(c.Factors, name, k.First, b.HiddenSize(), b.HiddenSize())})
			continue
		}
		m.modules = append(m.modules,
			module{k.First, k.Last,
				pair{shared, b.lowRankB(name, k.First, b.HiddenSize(), c.Rank), c.Scale(), float32(c.Dropout)}})
	}
	for _, l := range s.Injected {
		m.addLoRA(l)
	}
	if m.config.Changed == schedule.ChangedFreeze {
		m.Freeze()
	}
	return m, nil
}

// span returns the layers of a module.
func (d module) span() schedule.Span { return schedule.Span{First: d.first, Last: d.last} }

// moduleName returns the path in the file of the module from the input of layer
// first to the output of layer last.
func (b builder) moduleName(first, last int) string {
	return fmt.Sprintf("%s%s.lor2c.%d_%d", filePrefix, b.LayerPath(first), first, last)
}

// Params returns A and B of every module by layer (a shared A only once, at the
// start), then the LoRA pairs in the order of their injection.
func (m *LoR2C) Params() (params []*tape.Param) {
	seen := map[*tape.Param]bool{}
	for _, d := range m.modules {
		if !seen[d.A] {
			seen[d.A] = true
			params = append(params, d.A)
		}
		params = append(params, d.B)
	}
	return slices.Concat(params, m.injected.params)
}

// Hook adds the residual connections to the outputs of the layers, and the
// outputs of injected pairs to their linear layers.
func (m *LoR2C) Hook(At) model.Hook {
	return &lor2cHook{newPairsHook(m.injected.pairs), m, map[int]*tape.Var{}}
}

type lor2cHook struct {
	pairsHook
	m    *LoR2C
	down map[int]*tape.Var // A dropout(h) of the modules that span this layer, by first layer
}

func (h *lor2cHook) Block(p *model.Pass, l int, x *tape.Var, next func(*tape.Var) *tape.Var) *tape.Var {
	for _, d := range h.m.modules {
		if d.first == l {
			// u is computed here and not at the end of the module, because the rows of x
			// may still be in registers, and because an evaluation then keeps u instead
			// of x. The last layer returns fewer rows.
			rows := p.Match(x, d.last)
			h.down[l] = d.down(p, l, blockMask, rows)
			if rows != x {
				p.Release(rows)
			}
		}
	}
	y := next(x)
	for _, d := range h.m.modules {
		if d.last == l {
			d.up(p, h.down[d.first], y)
		}
	}
	return y
}
