package generate

import "slices"

// maxPrefill bounds the tokens of prompts that one pass computes, unless a single prompt is longer.
const maxPrefill = 2048

// leastShared is the least number of tokens that a text must gain to wait for another text of the same pass: the tokens
// that it shares with that text beyond those that it shares with the cache.
const leastShared = 32

// admit gives free slots to requests from next on. It returns their texts and the slots that are left. It stops at a
// request that would make the pass too long, and at a request that can reuse many of the tokens that the pass computes
// for another.
func (g *Generator) admit(requests []Request, next int, free []int) (texts []*text, rest []int) {
	tokens := 0
	for i := next; i < len(requests) && len(free) > 0; i++ {
		ids := requests[i].IDs
		from, to, cached := g.place(free, ids)
		tokens += len(ids) - cached
		waits := slices.ContainsFunc(texts, func(t *text) bool { return shared(t.ids, ids) >= cached+leastShared })
		if len(texts) > 0 && (waits || tokens > maxPrefill) {
			break
		}
		slot := free[to]
		if from != slot && cached > 0 {
			g.cache.Copy(g.Dev, slot, from, cached)
			g.kept[slot] = slices.Clone(ids[:cached]) // a later request of this pass may look for a start here
		}
		free = slices.Delete(free, to, to+1)
		texts = append(texts, &text{request: i, ids: slices.Clone(ids), prompt: len(ids), cached: cached, slot: slot})
	}
	return texts, free
}

// place returns the slot `from` whose tokens share the longest start with ids, the length `cached` of that start, and
// the index `to` of the slot in free that the text gets: the same slot if it is free, or else the one with the fewest
// tokens. At least one token is left to compute.
//
// Keys and values of the first tokens of a text do not depend on those that follow, so a text can use those of another.
func (g *Generator) place(free []int, ids []int32) (from, to, cached int) {
	most, least := 0, 0 // in free
	for i, s := range free {
		if n := shared(g.kept[s], ids); n > cached {
			most, cached = i, n
		}
		if len(g.kept[s]) < len(g.kept[free[least]]) {
			least = i
		}
	}
	from, to = free[most], most
	for s := range g.kept {
		if n := shared(g.kept[s], ids); n > cached {
			from, to, cached = s, least, n
		}
	}
	return from, to, cached
}

// shared returns the length of the common start of have and ids, and at most len(ids)-1.
func shared(have, ids []int32) int {
	n := 0
	for n < len(have) && n < len(ids)-1 && have[n] == ids[n] {
		n++
	}
	return n
}
