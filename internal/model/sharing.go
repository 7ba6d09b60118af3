package model

import "github.com/lor2c/lor2c/internal/compute"

// WithHead returns a network that shares the pretrained parameters of m and has a classification head of its own, with
// the given number of outputs, whose values the caller must set. Passes through the two networks must not overlap.
func (m *Encoder) WithHead(dev compute.Device, outputs int) (*Encoder, error) {
	c := *m
	none := func(string, compute.Shape) ([]float32, bool, error) { return nil, false, nil }
	b := builder{dev: dev, src: none, head: true}
	c.staging = nil
	for _, p := range m.head {
		if p == m.pooler.W {
			c.pooler = b.linear(m.Prefix+".pooler.dense", m.Width, m.Width)
		}
	}
	f := m.family()
	if f.dense != "" {
		c.dense = b.linear(f.dense, m.Width, m.Width)
	}
	c.out = b.linear(f.out, outputs, m.Width)
	c.head = b.params
	return &c, b.err
}
