package generate

import (
	"slices"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/model"
)

// maxPrefill bounds the tokens of prompts that one pass computes, unless a single prompt is longer.
const maxPrefill = 2048

// leastShared is the least number of tokens that a text must gain to wait for another text of the same pass: the tokens
// that it shares with that text beyond those that it shares with the cache.
const leastShared = 32

// text is a text whose keys and values are in blocks of the cache.
type text struct {
	ask      *Ask    // nil for a text that is scored
	owner    any     // the method that its keys and values come from
	result   Result  // so far
	ids      []int32 // of prompt and continuation
	prompt   int     // how many of them are the prompt
	cached   int     // how many are in the cache
	blocks   []int32 // those of the cache, with room for all tokens that the text may get
	finished bool
}

// blocks gives out the blocks of a cache. Texts that begin alike have the same blocks as far as these are full of
// common tokens; the common tokens behind them are copied. The blocks of finished texts keep their tokens until other
// texts need the blocks.
type blocks struct {
	lead  int // rows in front of the tokens of a text, which all texts have in common
	free  []int32
	users []int   // of each block: how many texts have it
	texts []*text // those that have blocks; the finished ones in the order in which they ended
}

// of returns the number of blocks of a text with the given number of tokens in them, none without a token.
func (b *blocks) of(tokens int) int {
	if tokens == 0 {
		return 0
	}
	return model.CacheBlocks(b.lead + tokens)
}

// rest returns how many rows a text with the given number of tokens has in a block that is not full.
func (b *blocks) rest(tokens int) int {
	if tokens == 0 {
		return 0
	}
	return (b.lead + tokens) % compute.BlockRows
}

func newBlocks(n int) *blocks {
	b := &blocks{users: make([]int, n)}
	for i := range n {
		b.free = append(b.free, int32(n-1-i))
	}
	return b
}

// longest returns the text of an owner whose cached tokens share the longest start with ids, and the length of that
// start. The text is nil if none does. Keys and values of the first tokens of a text do not depend on those that
// follow, so a text can use those of another.
func (b *blocks) longest(owner any, ids []int32) (source *text, n int) {
	for _, t := range b.texts {
		if t.owner != owner {
			continue
		}
		if same := shared(t.ids[:t.cached], ids); same > n {
			source, n = t, same
		}
	}
	return source, n
}

// take returns a text with the given tokens, of which the first `cached` have their keys and values from source, and
// with blocks for the given number of tokens. fill copies the first rows of a block. take returns nil if there are not
// enough blocks until an unfinished text ends.
func (b *blocks) take(ids []int32, source *text, cached, tokens int, fill func(to, from int32, rows int)) *text {
	t := &text{ids: slices.Clone(ids), prompt: len(ids), cached: cached}
	if cached > 0 {
		t.blocks = slices.Clone(source.blocks[:b.of(cached)])
	}
	if !b.fits(t, tokens) {
		return nil
	}
	for _, block := range t.blocks {
		b.users[block]++
	}
	rest := b.rest(cached)
	copies := func() int {
		if rest > 0 && b.users[t.blocks[len(t.blocks)-1]] > 1 {
			return 1
		}
		return 0
	}
	for len(b.free) < b.of(tokens)-len(t.blocks)+copies() {
		b.evict(source)
	}
	if copies() > 0 {
		last := &t.blocks[len(t.blocks)-1]
		to := b.allocate()
		fill(to, *last, rest)
		b.users[*last]--
		*last = to
	}
	for len(t.blocks) < b.of(tokens) {
		t.blocks = append(t.blocks, b.allocate())
	}
	b.texts = append(b.texts, t)
	return t
}

// fits reports whether t, which has the blocks of its first tokens, could get blocks for the given number of tokens if
// all finished texts gave up theirs.
func (b *blocks) fits(t *text, tokens int) bool {
	held := make([]bool, len(b.users))
	left := len(b.users)
	hold := func(list []int32) {
		for _, block := range list {
			if !held[block] {
				held[block] = true
				left--
			}
		}
	}
	for _, other := range b.texts {
		if !other.finished {
			hold(other.blocks)
		}
	}
	needed := b.of(tokens) - len(t.blocks)
	if n := len(t.blocks); b.rest(t.cached) > 0 && held[t.blocks[n-1]] {
		needed++ // it must be copied
	}
	hold(t.blocks)
	return needed <= left
}

func (b *blocks) allocate() int32 {
	block := b.free[len(b.free)-1]
	b.free = b.free[:len(b.free)-1]
	b.users[block] = 1
	return block
}

// evict removes the text that ended first, but source only if there is no other.
func (b *blocks) evict(source *text) {
	i := slices.IndexFunc(b.texts, func(t *text) bool { return t.finished && t != source })
	if i < 0 {
		i = slices.Index(b.texts, source)
	}
	b.drop(b.texts[i].blocks)
	b.texts = slices.Delete(b.texts, i, i+1)
}

// release removes the finished texts of an owner.
func (b *blocks) release(owner any) {
	b.texts = slices.DeleteFunc(b.texts, func(t *text) bool {
		if !t.finished || t.owner != owner {
			return false
		}
		b.drop(t.blocks)
		return true
	})
}

// drop takes blocks from one text.
func (b *blocks) drop(list []int32) {
	for _, block := range list {
		if b.users[block]--; b.users[block] == 0 {
			b.free = append(b.free, block)
		}
	}
}

// finish ends a text. Blocks without tokens become free.
func (b *blocks) finish(t *text) {
	n := b.of(t.cached)
	b.drop(t.blocks[n:])
	t.blocks, t.finished = t.blocks[:n], true
	i := slices.Index(b.texts, t)
	if b.texts = slices.Delete(b.texts, i, i+1); n > 0 {
		b.texts = append(b.texts, t)
	}
}

// shared returns the length of the common start of two texts.
func shared(x, y []int32) int {
	n := 0
	for n < min(len(x), len(y)) && x[n] == y[n] {
		n++
	}
	return n
}
