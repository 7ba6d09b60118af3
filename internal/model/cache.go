package model

import (
	"fmt"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/tape"
)

// Cache holds the keys, after the rotation, and the values of sequences that are continued token by token. It has a
// number of slots, each for one sequence of at most a number of tokens.
type Cache struct {
	Slots, Tokens int
	k, v          []compute.Tensor // of each layer: [Slots*Tokens, HKV*D]
}

// NewCache allocates a cache for m.
func (m *Decoder) NewCache(dev compute.Device, slots, tokens int) *Cache {
	c := &Cache{Slots: slots, Tokens: tokens}
	shape := compute.Shape{slots * tokens, m.KVHeads * m.HeadDim}
	for range m.Layers {
		c.k, c.v = append(c.k, dev.Alloc(shape, compute.Working)), append(c.v, dev.Alloc(shape, compute.Working))
	}
	return c
}

// Copy copies the keys and values of the first tokens of slot `from` to slot `to`.
func (c *Cache) Copy(dev compute.Device, to, from, tokens int) {
	for l := range c.k {
		for _, x := range []compute.Tensor{c.k[l], c.v[l]} {
			dev.Copy(x.View(to*c.Tokens, to*c.Tokens+tokens), x.View(from*c.Tokens, from*c.Tokens+tokens))
		}
	}
}

// Free frees the memory of c, which must not be used afterwards.
func (c *Cache) Free(dev compute.Device) {
	for i := range c.k {
		dev.Free(c.k[i])
		dev.Free(c.v[i])
	}
}

// Continuation says where the sequences of a batch go on.
type Continuation struct {
	Cache *Cache
	Slot  []int // [B]: the slot of each sequence
	Past  []int // [B]: how many of its tokens the slot already has
}

// check returns an error if the new tokens of b do not fit their slots.
func (c *Continuation) check(b Batch) error {
	if len(c.Slot) != b.Len() || len(c.Past) != b.Len() {
		return fmt.Errorf("model: continue: %d sequences have %d slots and %d lengths; want one of each",
			b.Len(), len(c.Slot), len(c.Past))
	}
	for i, slot := range c.Slot {
		n := int(b.Cu[i+1] - b.Cu[i])
		if slot < 0 || slot >= c.Cache.Slots || c.Past[i] < 0 || n < 1 || c.Past[i]+n > c.Cache.Tokens {
			return fmt.Errorf("model: continue: sequence %d has %d new tokens behind %d in slot %d; want at least 1, and at "+
				"most %d together in a slot below %d", i, n, c.Past[i], slot, c.Cache.Tokens, c.Cache.Slots)
		}
	}
	return nil
}

// cached is the sequences of a pass that continues.
type cached struct {
	*Continuation
	rows     []tape.Cached
	extended bool // the method has extended the keys
}

// Extended reports whether the method has extended the keys of a pass that continues sequences, which then has no valid
// result.
func (p *Pass) Extended() bool { return p.cached != nil && p.cached.extended }

// attend stores the new keys and values of layer l and returns the attention of the new rows to all of them.
func (c *cached) attend(p *Pass, l int, query *tape.Var, kv KV, o compute.AttnOpts) *tape.Var {
	for i := range c.rows {
		s := &c.rows[i]
		first := c.Slot[i] * c.Cache.Tokens
		begin, end := first+c.Past[i], first+c.Past[i]+s.To-s.From
		p.Store(c.Cache.k[l].View(begin, end), kv.K, s.From, s.To)
		p.Store(c.Cache.v[l].View(begin, end), kv.V, s.From, s.To)
		s.K, s.V = c.Cache.k[l].View(first, end), c.Cache.v[l].View(first, end)
	}
	return p.CachedAttention(query, c.rows, o)
}
