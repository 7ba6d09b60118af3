package adapter

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/lor2c/lor2c/internal/schedule"
	"github.com/lor2c/lor2c/internal/strictjson"
	"github.com/lor2c/lor2c/internal/tape"
)

// parseStructure decodes a result of Structure. nil is the structure before any
// merge or injection, with a module for each layer.
func parseStructure(text json.RawMessage, layers int) (s schedule.Structure, err error) {
	if text == nil {
		for l := range layers {
			s.Modules = append(s.Modules, schedule.Span{First: l, Last: l})
		}
		return s, nil
	}
	if err := strictjson.UnmarshalKnown(text, &s); err != nil {
		return s, fmt.Errorf("structure:%w", err)
	}
	return s, checkStructure(s, layers)
}

// checkStructure returns an error if s does not fit a model with the given number of layers.
func checkStructure(s schedule.Structure, layers int) error {
	next := 0
	for _, m := range s.Modules {
		if m.First < next || m.Last < m.First || m.Last >= layers {
			return fmt.Errorf("module %d-%d is out of order, overlaps another or leaves the model; want modules in order "+
				"within layers 0 to %d: %w",
				m.First, m.Last, layers-1, ErrMismatch)
		}
		next = m.Last + 1
	}
	for i, l := range s.Injected {
		inside := slices.ContainsFunc(s.Modules, func(m schedule.Span) bool { return m.First <= l && l <= m.Last })
		if l < 0 || l >= layers || inside || slices.Contains(s.Injected[:i], l) {
			return fmt.Errorf("LoRA on layer %d is listed twice, lies within a module or outside the model; want a layer "+
				"from 0 to %d without a module: %w",
				l, layers-1, ErrMismatch)
		}
	}
	return nil
}

// Structure returns Layout as JSON.
func (m *LoR2C) Structure() json.RawMessage { return encoded(m.Layout()) }

// Layout returns the modules of m and the layers that were injected.
func (m *LoR2C) Layout() schedule.Structure {
	s := schedule.Structure{Modules: []schedule.Span{}, Injected: append([]int{}, m.order...)}
	for _, d := range m.modules {
		s.Modules = append(s.Modules, d.span())
	}
	return s
}

// Merge replaces the modules between the input of layer first and the output of
// layer last by one module. It keeps A and B of the module that begins at layer
// keep (arXiv:2503.00572, section III-C). These remain the same parameters,
// with the name of the new module.
func (m *LoR2C) Merge(first, last, keep int) {
	m.modules = m.Merged(first, last, keep).modules
	i := slices.IndexFunc(m.modules, func(d module) bool { return d.first == first })
	name := m.b.moduleName(first, last)
	a, b := m.modules[i].A, m.modules[i].B
	if !m.own.Share {
		a.Name, a.Layer = name+".lora_A.weight", first
	}
	b.Name, b.Layer = name+".lora_B.weight", first
}

// Inject replaces the module of a layer by LoRA on the layer's target modules.
// Its rank is the configured one, by default half of the module's rank (section
// III-D). The new A is drawn at random and the new B is zero.
func (m *LoR2C) Inject(layer int) {
	m.modules = m.Without(layer).modules
	m.addLoRA(layer)
}

func (m *LoR2C) addLoRA(layer int) {
	m.injected.add(m.b, m.own.injected(), layer)
	m.order = append(m.order, layer)
}

// checkInjection returns every reason why LoRA cannot replace a module in this
// model: target modules that are not names of linear layers, and linear layers
// that are not square, for which LoRA of half the rank has another number of
// parameters than the module.
func checkInjection(b builder, c *lor2cConfig) error {
	if err := checkTargets(c.TargetModules, siteNames(b)); err != nil {
		return fmt.Errorf("adapter: inject lora: %w", err)
	}
	n, module := 0, 2*b.HiddenSize()*c.Rank
	for _, s := range sites(b, 0, c.TargetModules) {
		w := b.Linear(s).W.Value.Shape
		n += c.InjectRank * (w[0] + w[1])
	}
	if n != module {
		return fmt.Errorf("adapter: inject lora: rank %d on %v has %d parameters per layer, but the module that it "+
			"replaces has %d; want equal numbers: change method.inject_rank and method.target_modules, or leave out "+
			"schedule.max_injects", c.InjectRank,
			c.TargetModules, n, module)
	}
	return nil
}

// Merged returns m as it would be after Merge, with the same tensors.
func (m *LoR2C) Merged(first, last, keep int) *LoR2C {
	c := *m
	c.modules = nil
	for _, d := range m.modules {
		if d.first == keep {
			c.modules = append(c.modules, module{first, last, d.pair})
		} else if d.last < first || d.first > last {
			c.modules = append(c.modules, d)
		}
	}
	return &c
}

// Without returns m without the module of a layer. This computes the same as m
// right after Inject, because the new B is zero.
func (m *LoR2C) Without(layer int) *LoR2C {
	c := *m
	c.modules = slices.DeleteFunc(slices.Clone(m.modules), func(d module) bool { return d.first == layer })
	return &c
}

// withoutInjected returns m without the LoRA that was injected, with the same tensors.
func (m *LoR2C) withoutInjected() *LoR2C {
	c := *m
	c.injected, c.order = &LoRA{}, nil
	return &c
}

// Path is a low-rank path from the input of layer First to the output of layer Last: it adds Scale B A h.
type Path struct {
	Name        string // of the module in the adapter's file
	First, Last int
	A, B        *tape.Param // [r,C] and [C,r]
	Scale       float32
}

// Paths returns the low-rank paths around layers of a method, which are the modules of LoR2C.
func Paths(method Method) (paths []Path) {
	m, ok := method.(*LoR2C)
	if !ok {
		return nil
	}
	for _, d := range m.modules {
		paths = append(paths, Path{m.b.moduleName(d.first, d.last), d.first, d.last, d.A, d.B, d.scale})
	}
	return paths
}

// Freeze stops the training of the factors of merged modules and of injected
// layers, as in the authors' release (docs/divergence.md). A shared A is still
// trained.
func (m *LoR2C) Freeze() {
	for _, d := range m.modules {
		if d.last > d.first {
			d.A.Frozen, d.B.Frozen = !m.own.Share, true
		}
	}
	for _, p := range m.injected.params {
		p.Frozen = true
	}
}

// Module returns the parameters of the module that begins at a layer.
func (m *LoR2C) Module(first int) (a, b *tape.Param) {
	i := slices.IndexFunc(m.modules, func(d module) bool { return d.first == first })
	return m.modules[i].A, m.modules[i].B
}

// Pairs returns the parameters of the LoRA pairs of an injected layer.
func (m *LoR2C) Pairs(layer int) (params []*tape.Param) {
	for _, s := range sites(m.b, layer, m.own.TargetModules) {
		params = append(params, m.injected.pairs[s].A, m.injected.pairs[s].B)
	}
	return params
}
