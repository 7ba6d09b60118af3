package adapter

import (
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/tape"
)

var activations = map[string]compute.Act{"relu": compute.ReLU, "silu": compute.SiLU, "gelu": compute.GELU}

// bottleneck is one adapter: D [r,C], d [r], U [C,r], u [C].
type bottleneck struct{ down, downBias, up, upBias *tape.Param }

// bottleneck returns an adapter of the given inner width. Its weights are normal, of standard deviation 0.02, as in
// BERT.
func (b builder) bottleneck(width int, zeroUp bool, down, up string) bottleneck {
	w := bottleneck{
		b.param(down+".weight", width, b.HiddenSize()), b.param(down+".bias", width),
		b.param(up+".weight", b.HiddenSize(), width), b.param(up+".bias", b.HiddenSize()),
	}
	b.normal(w.down, 0.02)
	if zeroUp {
		w.down.Idle, w.downBias.Idle = tape.IdleAtStart, tape.IdleAtStart
	} else {
		b.normal(w.up, 0.02)
	}
	return w
}

// apply returns the output of an adapter for h [N,C].
func (w bottleneck) apply(p *model.Pass, h *tape.Var, act compute.Act) *tape.Var {
	inner := p.Linear(h, w.down, w.downBias, act)
	y := p.Linear(inner, w.up, w.upBias, compute.Identity)
	p.Release(inner)
	return y
}

// endHalf returns s.Norm(x) and releases x, which the norm has used up and no one else reads. In a decoder the two are
// one value.
func endHalf(p *model.Pass, s model.Sublayer, x *tape.Var, drop compute.Dropout) *tape.Var {
	y := s.Norm(x, drop)
	if y != x {
		p.Release(x)
	}
	return y
}
