package adapter

import "lor2c/internal/tape"

// Merge makes one module of those of layers first to last, with the factors of
// the module of layer keep: the spans that merging will make.
func (m *LoR2C) Merge(first, last, keep int) {
	var modules []module
	for _, d := range m.modules {
		if d.first == keep {
			modules = append(modules, module{first, last, d.pair})
		} else if d.last < first || d.first > last {
			modules = append(modules, d)
		}
	}
	m.modules = modules
}

// NewLoR2C returns a method with one module a layer and these factors.
func NewLoR2C(a, b []*tape.Param, scale float32) *LoR2C {
	m := &LoR2C{}
	for l := range a {
		m.modules = append(m.modules, module{l, l, pair{A: a[l], B: b[l], scale: scale}})
	}
	return m
}
