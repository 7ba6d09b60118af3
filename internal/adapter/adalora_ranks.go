package adapter

import (
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/schedule"
	"github.com/lor2c/lor2c/internal/tape"
)

// joined returns the tensors of the parameters from the one that has number first on as one tensor [n].
func (m *AdaLoRA) joined(first int, of func(*tape.Param) compute.Tensor) compute.Tensor {
	return of(m.params[first]).Slice(0, compute.Shape{Count(m.params[first:])})
}

// Updated updates the moving averages and sets the elements of e of the triplets that are not kept to zero.
func (m *AdaLoRA) Updated(at At) {
	if m.plan.steps == 0 {
		return
	}
	t, exact := at.Step-1, (*tape.Param).Exact
	if t < m.plan.end() {
		grad := func(p *tape.Param) compute.Tensor { return p.Grad }
		m.dev.Importance(m.mean.Value, m.deviation.Value, m.joined(0, exact), m.joined(0, grad), at.State,
			float32(m.own.Beta1), float32(m.own.Beta2))
	}
	k, due := m.plan.masked(t)
	if !due {
		return
	}
	if t <= m.plan.end() {
		m.score()
	}
	m.masked = true
	first := 2 * len(m.sites)
	m.dev.ZeroSmallest(m.joined(first, exact), m.scores.Value, k)
	if m.params[first].Master.Present() {
		m.dev.Copy(m.joined(first, func(p *tape.Param) compute.Tensor { return p.Value }), m.joined(first, exact))
	}
}

// score computes the score of each triplet: that of its element of e, the mean of those of its row of A and the mean of
// those of its column of B. The score of a number is the product of its two moving averages (eq. 7 to 11).
func (m *AdaLoRA) score() {
	m.dev.Fill(m.scores.Value, 0)
	r, from := m.own.InitRank, 0
	add := func(i int, p *tape.Param, alpha float32, columns bool) {
		shape := p.Value.Shape
		m.dev.SumProducts(m.scores.Value.View(i*r, (i+1)*r), m.mean.Value.Slice(from, shape),
			m.deviation.Value.Slice(from, shape), alpha, columns)
		from += shape.Len()
	}
	for i, w := range m.sites {
		add(i, w.A, 1/float32(w.A.Value.Shape[1]), false)
		add(i, w.B, 1/float32(w.B.Value.Shape[0]), true)
	}
	for i, w := range m.sites {
		add(i, w.e, 1, false)
	}
}

// Start prints when the ranks will change.
func (m *AdaLoRA) Start(run Run, _ bool) error {
	if p := m.plan; p.steps > 0 {
		run.Printf("ranks: %d triplets, of which %d are kept: all for %s, then fewer every %d until step %d, then "+
			"the same ones for %d",
			p.triplets, p.target, place.Count(p.start+1, "step", "steps"), p.every, p.end()+1, p.final-1)
	}
	return nil
}

// Due reports whether the ranks are logged after a step: at the end of each epoch, and when they stay the same from
// then on.
func (m *AdaLoRA) Due(at At) bool {
	return m.plan.steps > 0 && (at.Step%m.perEpoch == 0 || at.Step-1 == m.plan.end())
}

// Change logs the ranks. It waits for the device.
func (m *AdaLoRA) Change(at At, run Run) (*Change, error) {
	ranks, _ := m.ranks()
	ranks.Step, ranks.Epoch = at.Step, at.Epoch
	return nil, run.Log(ranks)
}

// Finish prints how many triplets were kept.
func (m *AdaLoRA) Finish(run Run) {
	if !m.masked {
		return
	}
	kept := 0
	ranks, _ := m.ranks()
	for _, r := range ranks.Ranks {
		kept += r.Rank
	}
	run.Printf("ranks: %d of %d triplets were kept", kept, m.plan.triplets)
}

// ranks returns how many triplets of each layer are kept, and which, by the path of e. It waits for the device.
func (m *AdaLoRA) ranks() (ranks schedule.Ranks, pattern map[string][]bool) {
	pattern = map[string][]bool{}
	for _, w := range m.sites {
		var kept []bool
		n := 0
		for _, x := range w.e.Values(m.dev) {
			keep := x != 0 || !m.masked
			if kept = append(kept, keep); keep {
				n++
			}
		}
		pattern[w.path()] = kept
		ranks.Ranks = append(ranks.Ranks, schedule.SiteRank{Layer: w.Layer, Linear: w.Name, Rank: n})
		ranks.Parameters += n * (w.A.Value.Shape[1] + w.B.Value.Shape[0] + 1)
	}
	return ranks, pattern
}
