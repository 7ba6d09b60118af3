package model

import (
	"fmt"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/tape"
)

// Cache holds the keys, after the rotation, and the values of sequences that are continued token by token. It has
// blocks of compute.BlockRows tokens. A sequence names its blocks in order, and sequences that begin alike can name the
// same blocks. The first rows of a sequence are those that a method puts in front of its keys.
type Cache struct {
	Blocks int // how many there are
	Most   int // the most blocks of a sequence
	Lead   int // rows in front of the tokens of a sequence
	k, v   []compute.Tensor
}

// CacheBlocks returns the number of blocks that a sequence of the given number of rows needs.
func CacheBlocks(rows int) int { return (rows + compute.BlockRows - 1) / compute.BlockRows }

// CacheBytes returns the memory of a block.
func (m *Decoder) CacheBytes(dev compute.Memory) int64 {
	return int64(2*m.Layers*compute.BlockRows*m.KVHeads*m.HeadDim) * dev.Bytes(compute.Working)
}

// NewCache allocates a cache for m, for sequences of at most the given number of blocks.
func (m *Decoder) NewCache(dev compute.Device, blocks, most int) *Cache {
	c := &Cache{Blocks: blocks, Most: most, Lead: m.lead}
	shape := compute.Shape{blocks * compute.BlockRows, m.KVHeads * m.HeadDim}
	for range m.Layers {
		c.k, c.v = append(c.k, dev.Alloc(shape, compute.Working)), append(c.v, dev.Alloc(shape, compute.Working))
	}
	return c
}

// Copy copies the keys and values of the first rows of block `from` to block `to`.
func (c *Cache) Copy(dev compute.Device, to, from int32, rows int) {
	const n = compute.BlockRows
	for l := range c.k {
		for _, x := range []compute.Tensor{c.k[l], c.v[l]} {
			dev.Copy(x.View(int(to)*n, int(to)*n+rows), x.View(int(from)*n, int(from)*n+rows))
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
	Cache  *Cache
	Tables [][]int32 // [B]: the blocks of each sequence, with room for its new tokens
	Past   []int     // [B]: how many of its tokens the blocks already have
}

// check returns an error if the new tokens of b do not fit their blocks.
func (c *Continuation) check(b Batch) error {
	if len(c.Tables) != b.Len() || len(c.Past) != b.Len() {
		return fmt.Errorf("model: continue: %d sequences have %d tables and %d lengths; want one of each",
			b.Len(), len(c.Tables), len(c.Past))
	}
	for i, table := range c.Tables {
		n := int(b.Cu[i+1] - b.Cu[i])
		if c.Past[i] < 0 || n < 1 || len(table) > c.Cache.Most || c.Cache.Lead+c.Past[i]+n > len(table)*compute.BlockRows {
			return fmt.Errorf("model: continue: sequence %d has %d new tokens behind %d in %d blocks; want at least 1, at most "+
				"%d together in each block, and at most %d blocks", i, n, c.Past[i], len(table), compute.BlockRows, c.Cache.Most)
		}
		for _, block := range table {
			if block < 0 || int(block) >= c.Cache.Blocks {
				return fmt.Errorf("model: continue: sequence %d has block %d; want 0 to %d", i, block, c.Cache.Blocks-1)
			}
		}
	}
	return nil
}

// cached is the state of a pass that continues sequences.
type cached struct {
	*Cache
	rows     compute.Tensor // [N + B Lead] Int: the row in the cache of each row of the keys of a pass
	cu       compute.Tensor // [B+1] Int: cu_seqlens of all tokens of the sequences
	table    compute.Tensor // [B,Most] Int
	longest  int            // of the sequences
	extended bool           // the method has extended the keys by rows for which the cache has no room
}

// stage adds the integers of a continuation to an upload: those of cached, in its order.
func (b Batch) stage(s *staging) {
	c := b.Continue
	sequence := 0
	lead := c.Cache.Lead
	s.add(len(b.IDs)+b.Len()*lead, func(i int) int32 {
		for i == int(b.Cu[sequence+1])+(sequence+1)*lead {
			sequence++
		}
		at := i - int(b.Cu[sequence]) - sequence*lead
		if at >= lead {
			at += c.Past[sequence]
		}
		return c.Tables[sequence][at/compute.BlockRows]*compute.BlockRows + int32(at%compute.BlockRows)
	})
	total := int32(0)
	s.add(b.Len()+1, func(i int) int32 {
		if i > 0 {
			total += b.Cu[i] - b.Cu[i-1] + int32(c.Past[i-1]+lead)
		}
		return total
	})
	s.add(b.Len()*c.Cache.Most, func(i int) int32 {
		if table := c.Tables[i/c.Cache.Most]; i%c.Cache.Most < len(table) {
			return table[i%c.Cache.Most]
		}
		return 0
	})
}

// cached returns the state of a pass of b, from the tensors that stage made.
func (b Batch) cached(parts []compute.Tensor) *cached {
	c := &cached{Cache: b.Continue.Cache, rows: parts[0], cu: parts[1]}
	c.table = parts[2].Slice(0, compute.Shape{b.Len(), c.Most})
	for i, past := range b.Continue.Past {
		c.longest = max(c.longest, c.Lead+past+int(b.Cu[i+1]-b.Cu[i]))
	}
	return c
}

// Extended reports whether the method has extended the keys of a pass that continues sequences by rows for which the
// cache has no room, so that the pass has no valid result.
func (p *Pass) Extended() bool { return p.cached != nil && p.cached.extended }

// attend stores the new keys and values of layer l, and the rows that the method puts in front of each sequence, and
// returns the attention of the new rows to all of them. The rows in front are the same in every pass.
func (c *cached) attend(p *Pass, l int, query *tape.Var, kv KV, o compute.AttnOpts) *tape.Var {
	p.Put(c.k[l], c.rows, kv.K)
	p.Put(c.v[l], c.rows, kv.V)
	o.CuK, o.MaxK, o.Table = c.cu, c.longest, c.table
	return p.CachedAttention(query, c.k[l], c.v[l], o)
}
