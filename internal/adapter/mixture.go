package adapter

import (
	"fmt"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/tape"
)

// mixture is the copies of a parameter and their mean, which an evaluation reads.
type mixture struct {
	copies []*tape.Param
	mean   *tape.Param
	exact  compute.Tensor // scratch for the mean
}

// mix makes n copies of a parameter, which begin as init leaves them.
func (m *AdaMix) mix(n int, path, leaf string, init func(*tape.Param), shape ...int) mixture {
	x := mixture{mean: m.b.frozen(path+leaf, shape...), exact: m.b.dev.Alloc(shape, compute.Exact)}
	for i := range n {
		p := m.b.param(fmt.Sprintf("%s.%d%s", path, i, leaf), shape...)
		if init(p); n > 1 {
			p.Idle = tape.OftenIdle
		}
		x.copies = append(x.copies, p)
	}
	m.params, m.mixtures = append(m.params, x.copies...), append(m.mixtures, x)
	return x
}

// Begin averages the copies for an evaluation, unless they are still those that were averaged last: a text that is
// generated takes a pass for each token.
func (m *AdaMix) Begin(at At) {
	if at.Train || m.averaged {
		return
	}
	m.averaged = true
	for _, x := range m.mixtures {
		m.b.dev.Fill(x.exact, 0)
		for _, p := range x.copies {
			m.b.dev.Axpy(x.exact, 1/float32(len(x.copies)), p.Exact())
		}
		m.b.dev.Copy(x.mean.Value, x.exact)
	}
}

// Updated lets the next evaluation average the copies again.
func (m *AdaMix) Updated(At) { m.averaged = false }

// Restored does the same after the copies have received the values of a file.
func (m *AdaMix) Restored() error {
	m.averaged = false
	return nil
}
