package tokenizer

import (
	"sync"
	"unicode/utf8"

	"github.com/lor2c/lor2c/internal/place"
)

type pair struct{ left, right int32 }

// merge is what two neighbouring tokens become, and the rank of that merge.
// Lower ranks are applied first.
type merge struct{ rank, id int32 }

// mergeTable contains the merges of a BPE model (Sennrich et al. 2016).
type mergeTable map[pair]merge

// newMergeTable returns the merges of a vocabulary as ids, so that encoding
// compares numbers only. If a pair occurs twice the later rank counts, as in the
// reference. It returns an error, placed in src, the file of the merges, if a
// part or the result of a merge is not in the vocabulary.
func newMergeTable(v *vocab, merges []mergePair, src *source) (mergeTable, error) {
	m := make(mergeTable, len(merges))
	for rank, p := range merges {
		var ids [3]int32
		for i, token := range [...]string{p.left, p.right, p.left + p.right} {
			id, ok := v.ids[token]
			if !ok {
				return nil, src.errorAt(p.at, "merge of %s and %s needs token %s, which the vocabulary lacks; vocabulary and "+
					"merges must come from the same model",
					place.Quote(p.left), place.Quote(p.right), place.Quote(token))
			}
			ids[i] = id
		}
		m[pair{ids[0], ids[1]}] = merge{int32(rank), ids[2]}
	}
	return m, nil
}

// unmade returns the number of tokens of v that no text can produce: tokens of
// several letters that no merge produces and that are not added tokens or
// single bytes. There are many if the merges file was cut off.
func (m mergeTable) unmade(v *vocab, added map[string]bool) (n int) {
	made := map[int32]bool{}
	for _, to := range m {
		made[to.id] = true
	}
	for token, id := range v.ids {
		if _, isByte := byteOf(token); !made[id] && !added[token] && !isByte && utf8.RuneCountInString(token) > 1 {
			n++
		}
	}
	return n
}

// symbol is a node of the doubly linked list that merging works on. A symbol
// that was merged into its predecessor has id -1.
type symbol struct {
	id         int32
	prev, next int32
}

// candidate is a merge of the symbol at pos with its successor.
type candidate struct {
	merge
	pos int32
}

func (c candidate) before(d candidate) bool {
	return c.rank < d.rank || c.rank == d.rank && c.pos < d.pos
}

// mergeScratch is the working memory of mergeTable.apply, which is reused
// between words.
type mergeScratch struct {
	symbols []symbol
	heap    []candidate
}

var mergePool = sync.Pool{New: func() any { return new(mergeScratch) }}

// apply merges the linked symbols of s in order of rank, leftmost first, and
// appends the ids that remain to dst. It needs O(n log n): a heap holds the
// candidates, and entries that an earlier merge made stale are recognised when
// they come up.
func (m mergeTable) apply(s *mergeScratch, dst []int32) []int32 {
	s.heap = s.heap[:0]
	for i := range s.symbols {
		m.pushCandidate(s, int32(i))
	}
	for len(s.heap) > 0 {
		// An entry is stale if its symbol is gone, is now the last, or now
		// forms another pair with its successor.
		c := s.pop()
		left := &s.symbols[c.pos]
		if left.id < 0 || left.next < 0 {
			continue
		}
		right := &s.symbols[left.next]
		if now, ok := m[pair{left.id, right.id}]; !ok || now.id != c.id {
			continue
		}
		// The left symbol becomes the merged token and the right one is removed
		// from the list.
		left.id, right.id = c.id, -1
		left.next = right.next
		if left.next >= 0 {
			s.symbols[left.next].prev = c.pos
		}
		if left.prev >= 0 {
			m.pushCandidate(s, left.prev)
		}
		m.pushCandidate(s, c.pos)
	}
	for _, sym := range s.symbols {
		if sym.id >= 0 {
			dst = append(dst, sym.id)
		}
	}
	return dst
}

// add appends id to the linked symbols.
func (s *mergeScratch) add(id int32) {
	n := int32(len(s.symbols))
	s.symbols = append(s.symbols, symbol{id: id, prev: n - 1, next: n + 1})
}

// end marks the last symbol as the last.
func (s *mergeScratch) end() {
	if n := len(s.symbols); n > 0 {
		s.symbols[n-1].next = -1
	}
}

func (m mergeTable) pushCandidate(s *mergeScratch, pos int32) {
	left := s.symbols[pos]
	if left.next < 0 {
		return
	}
	if found, ok := m[pair{left.id, s.symbols[left.next].id}]; ok {
		s.push(candidate{found, pos})
	}
}

// push adds c to s.heap, a binary heap with the next merge on top.
func (s *mergeScratch) push(c candidate) {
	s.heap = append(s.heap, c)
	h := s.heap
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if !h[i].before(h[up]) {
			break
		}
		h[i], h[up] = h[up], h[i]
		i = up
	}
}

func (s *mergeScratch) pop() candidate {
	h := s.heap
	top := h[0]
	n := len(h) - 1
	h[0] = h[n]
	h = h[:n]
	s.heap = h
	for i := 0; ; {
		child := 2*i + 1
		if child >= n {
			break
		}
		if child+1 < n && h[child+1].before(h[child]) {
			child++
		}
		if !h[child].before(h[i]) {
			break
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
	return top
}
