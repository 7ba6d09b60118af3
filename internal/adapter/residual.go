package adapter

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"gonum.org/v1/gonum/mat"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/strictjson"
	"github.com/lor2c/lor2c/internal/tape"
)

// residualDefaults scale the low-rank path by 1 and drop nothing of its input, so that it is a part of the weight.
var residualDefaults = LowRank{Factors{Rank: 8, Alpha: 8}, []string{"query", "value"}}

const residualLoad = "Load it with `lor2c eval --adapter`. It holds the factors that training began with too: on " +
	"the untouched base the adapter is the LoRA that has them, negated, beside its own."

// isInitial reports whether a tensor is A0 or B0.
func isInitial(name string) bool { return strings.Contains(name, ".initial_") }

// Residual is LoRA that begins with factors A0 and B0 of a part of each weight, while the base keeps W - s B0 A0. The
// output at the start is the base's up to the rounding of that difference.
type Residual struct {
	Plain
	b       builder
	pairs   map[model.Site]pair
	initial map[model.Site]pair // A0 and B0
	params  []*tape.Param
	buffers []*tape.Param
	waiting bool // for A0 and B0 from a file
}

// residualStructure says that an adapter has A0 and B0, so that they need not be computed again.
type residualStructure struct {
	Initial string `json:"initial"`
}

const storedInitial = "stored"

func checkResidual(text json.RawMessage, _ int) error {
	var s residualStructure
	if err := strictjson.UnmarshalKnown(text, &s); err != nil {
		return err
	}
	if s.Initial != storedInitial {
		return fmt.Errorf("initial is %q; want %q", s.Initial, storedInitial)
	}
	return nil
}

// newResidual attaches a method that begins with start(w), A0 [r,K] and B0 [M,r] of each weight w [M,K].
func newResidual(b builder, c LowRank, start func(w *mat.Dense, name string) (a, b *mat.Dense)) (Method, error) {
	m := &Residual{b: b, pairs: map[model.Site]pair{}, initial: map[model.Site]pair{}, waiting: b.Structure != nil}
	var fault error
	err := b.linears(c.TargetModules, func(s model.Site, module string, in, out int) {
		switch {
		case fault != nil:
			return
		case c.Rank > min(in, out):
			fault = fmt.Errorf("adapter: attach %s: the rank is %d, and the weight of %s is %d x %d; want a rank of at most %d",
				b.Name(), c.Rank, s.Path, out, in, min(in, out))
			return
		}
		factor := func(name string, shape ...int) *tape.Param { return b.param(module+name, shape...) }
		w := pair{factor(".lora_A.weight", c.Rank, in), factor(".lora_B.weight", out, c.Rank), c.Scale(), float32(c.Dropout)}
		w.A.Factor, w.A.Layer, w.B.Factor, w.B.Layer = "A", s.Layer, "B", s.Layer
		first := pair{A: factor(".initial_A.weight", c.Rank, in), B: factor(".initial_B.weight", out, c.Rank)}
		m.pairs[s], m.initial[s] = w, first
		m.params, m.buffers = append(m.params, w.A, w.B), append(m.buffers, first.A, first.B)
		if m.waiting {
			return
		}
		weight := b.Linear(s).W.Values(b.dev)
		if !slices.ContainsFunc(weight, func(x float32) bool { return x != 0 }) {
			return // a device that only counts memory
		}
		a0, b0 := start(dense(out, in, weight), first.A.Name)
		for p, values := range map[*tape.Param]*mat.Dense{w.A: a0, first.A: a0, w.B: b0, first.B: b0} {
			p.Upload(b.dev, single(values))
		}
		m.subtract(s)
	})
	if fault != nil {
		return nil, fault
	}
	return m, err
}

// subtract replaces a weight W by W - s B0 A0.
func (m *Residual) subtract(s model.Site) {
	first, w := m.initial[s], m.b.Linear(s).W
	shape, r := w.Value.Shape, first.A.Value.Shape[0]
	weight := dense(shape[0], shape[1], w.Values(m.b.dev))
	var product mat.Dense
	product.Mul(dense(shape[0], r, first.B.Values(m.b.dev)), dense(r, shape[1], first.A.Values(m.b.dev)))
	product.Scale(float64(m.pairs[s].scale), &product)
	weight.Sub(weight, &product)
	w.Upload(m.b.dev, single(weight))
}

// Restored subtracts the stored A0 and B0 from the base.
func (m *Residual) Restored() error {
	for s := range m.initial {
		if m.waiting {
			m.subtract(s)
		}
	}
	m.waiting = false
	return m.b.dev.Err()
}

// Params lists A and B of every pair.
func (m *Residual) Params() []*tape.Param { return m.params }

// Buffers lists A0 and B0 of every pair.
func (m *Residual) Buffers() []*tape.Param { return m.buffers }

// Structure says that the adapter has A0 and B0.
func (m *Residual) Structure() json.RawMessage { return encoded(residualStructure{storedInitial}) }

// Fold returns s (B A - B0 A0), which is what the method adds to the weight that it took s B0 A0 from, as pairs of
// twice the rank.
func (m *Residual) Fold(dev compute.Device) ([]Update, error) {
	list, err := updates(dev, m.pairs)
	for i := range list {
		u := &list[i]
		first, b := m.initial[u.Site], u.B
		b0 := first.B.Values(dev)
		u.A = append(u.A, first.A.Values(dev)...)
		u.B = make([]float32, 0, 2*len(b))
		for o := range u.Out {
			u.B = append(u.B, b[o*u.Rank:(o+1)*u.Rank]...)
			for _, x := range b0[o*u.Rank : (o+1)*u.Rank] {
				u.B = append(u.B, -x)
			}
		}
		u.Rank *= 2
	}
	return list, err
}

// Hook adds the pairs' outputs to their linear layers.
func (m *Residual) Hook(At) model.Hook { return newPairsHook(m.pairs) }
