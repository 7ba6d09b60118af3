package generate

import "slices"

// maxPrefill bounds the tokens of prompts that one pass computes, unless a single prompt is longer.
const maxPrefill = 2048

// leastShared is how many more tokens a text must share with one that is about to be computed than with the cache, so
// that it waits for that one.
const leastShared = 32

// admit gives free slots to requests from next on. It returns their texts and the slots that are left. It stops at a
// request that would make the pass too long, and at one that can use much of what the pass computes for another.
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
		}
		free = slices.Delete(free, to, to+1)
		texts = append(texts, &text{request: i, ids: slices.Clone(ids), prompt: len(ids), cached: cached, slot: slot})
	}
	return texts, free
}

// place returns the slot that has the most of the first tokens of ids, their number, and the index of a slot in free
// for a text of ids: the same slot if it is free, or else the one that has the least. At least one token is left to
// compute.
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

// shared returns the number of tokens that have and ids begin with alike, but less than all of ids.
func shared(have, ids []int32) int {
	n := 0
	for n < len(have) && n < len(ids)-1 && have[n] == ids[n] {
		n++
	}
	return n
}
