package generate

import (
	"fmt"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/compute/nulldev"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/place"
)

// Plan is the memory in bytes that continuing texts needs on a device.
type Plan struct {
	Weights int64 // of model and adapter
	Cache   int64 // keys and values
	Arena   int64 // activations of the largest pass
	Texts   int   // how many texts of the greatest length fit the cache at a time
	slots   int   // how many are continued at a time
	tokens  int   // the greatest length
	blocks  int   // of the cache
}

// Total returns the sum of weights, cache and activations.
func (p Plan) Total() int64 { return p.Weights + p.Cache + p.Arena }

// Plan plans memory for texts of at most the given number of tokens, `slots` of them at a time, by running the largest
// pass on a device that only counts bytes. If all of that does not fit the memory that dev has free, the cache becomes
// smaller, so that fewer texts are continued at a time. If it does not fit with one text, Plan returns an error that
// wraps compute.ErrOutOfMemory.
func (t *Texts) Plan(dev compute.Device, slots, tokens int) (Plan, error) {
	return t.plan(dev, slots, tokens, func(g *Generator) error { return g.pass(g.largest(slots, tokens)) })
}

// PlanScore plans memory for log-likelihoods of which those of q have the most tokens, as Plan does for continuations.
func (t *Texts) PlanScore(dev compute.Device, q Query) (Plan, error) {
	return t.plan(dev, 1, q.Tokens(), func(g *Generator) error {
		_, err := g.score(q)
		return err
	})
}

// plan plans memory for the largest pass, which it calls on a device that only counts bytes.
func (t *Texts) plan(dev compute.Device, slots, tokens int, pass func(*Generator) error) (Plan, error) {
	null := nulldev.Like(dev)
	c, err := model.ReadDecoderConfig(t.dir)
	if err != nil {
		return Plan{}, err
	}
	if err := model.CheckDecoderWeights(t.dir, &c); err != nil {
		return Plan{}, place.Given(err)
	}
	m, err := model.NewDecoder(null, c, tokens, t.method().Trains(), model.NoValues)
	if err != nil {
		return Plan{}, err
	}
	g, err := t.attach(null, m, 0, model.PlanQuantize)
	if err != nil {
		return Plan{}, err
	}
	p := Plan{Weights: null.Stats().PersistentBytes, slots: slots, tokens: tokens}
	if err := g.Prepare(slots, tokens); err != nil {
		return Plan{}, err
	}
	p.Cache, p.blocks = null.Stats().PersistentBytes-p.Weights, g.cache.Blocks
	if err := pass(g); err != nil {
		return Plan{}, err
	}
	p.Arena = null.Arena()
	if free := dev.Stats().Free; free > 0 && p.Total() > free {
		block := p.Cache / int64(p.blocks)
		p.blocks = int(max(0, free-p.Weights-p.Arena) / block)
		p.Cache = block * int64(p.blocks)
		if one := g.cache.Most; p.blocks < one {
			return p, fmt.Errorf("generate: plan: %s needed for one text of %d tokens (weights %s, keys and values %s, "+
				"activations %s), %s free; shorten the texts, with --context, --max-new-tokens or --shots, or use a device with "+
				"more memory: %w",
				mib(p.Weights+p.Arena+block*int64(one)), tokens, mib(p.Weights), mib(block*int64(one)), mib(p.Arena), mib(free),
				compute.ErrOutOfMemory)
		}
	}
	p.Texts = p.blocks / g.cache.Most
	return p, nil
}

// largest returns the texts of a pass that needs as much memory as any: as many tokens of prompts as a pass computes,
// and a row for each of the other texts.
func (g *Generator) largest(slots, tokens int) (texts []*text) {
	left := max(tokens, maxPrefill) + slots - 1
	table := make([]int32, g.cache.Most)
	for i := range slots {
		n := min(tokens, left-(slots-1-i))
		texts = append(texts, &text{ids: make([]int32, n), blocks: table})
		left -= n
	}
	return texts
}

// LoadPlanned does what Load does, for texts of at most the length of a plan that was made for dev, and allocates what
// the plan has. Passes then allocate nothing more.
func (t *Texts) LoadPlanned(dev compute.Device, p Plan, seed uint64) (*Generator, error) {
	g, err := t.Load(dev, p.tokens, seed)
	if err != nil {
		return nil, err
	}
	g.most = p.blocks
	dev.Reset()
	dev.Temp(compute.Shape{int(p.Arena / dev.Bytes(compute.Int))}, compute.Int)
	dev.Reset()
	return g, g.Prepare(p.slots, p.tokens)
}

// mib formats a number of bytes.
func mib(bytes int64) string { return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20)) }
