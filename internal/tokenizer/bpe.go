package tokenizer

import (
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

// bytePair is a byte-level BPE model.
type bytePair struct {
	byteID         [256]int32     // id of each single byte, -1 where the vocabulary has none
	merges         map[pair]merge // the merged token of two neighbours, and the rank of the merge
	whole          map[string]int32
	unk            int32 // id for a byte the vocabulary lacks; -1 drops such bytes
	fuseUnk        bool  // one unk for a run of unknown bytes
	addPrefixSpace bool
	cache          wordCache
}

// maxWord is the largest number of bytes that are merged as one word.
const maxWord = 1 << 20

type pair struct{ left, right int32 }

type merge struct{ rank, id int32 }

// unmade returns the number of tokens of v that no text can produce: tokens of
// several letters that no merge produces and that are not added tokens. There
// are many if the merges file was cut off.
func (m *bytePair) unmade(v *vocab, added map[string]bool) (n int) {
	made := map[int32]bool{}
	for _, to := range m.merges {
		made[to.id] = true
	}
	for token, id := range v.ids {
		if !made[id] && !added[token] && m.whole == nil && utf8.RuneCountInString(token) > 1 {
			n++
		}
	}
	return n
}

func (m *bytePair) normalize(text string) string { return text }

func (m *bytePair) appendIDs(dst []int32, text string) []int32 {
	if text == "" {
		return dst
	}
	if m.addPrefixSpace && text[0] != ' ' {
		text = " " + text
	}
	for i := 0; i < len(text); {
		// Merging takes forty bytes of memory per byte of a word. Encoders have
		// no position for text this far into a word.
		end := min(wordEnd(text, i), i+maxWord)
		dst = m.appendWord(dst, text[i:end])
		i = end
	}
	return dst
}

func (m *bytePair) appendWord(dst []int32, word string) []int32 {
	// wholeWords is set only for models with ignore_merges.
	if id, ok := m.whole[word]; ok {
		return append(dst, id)
	}
	// Single bytes, which are mostly punctuation, need neither merges nor the
	// cache.
	if len(word) == 1 && m.byteID[word[0]] >= 0 {
		return append(dst, m.byteID[word[0]])
	}
	slot := m.cache.slot(word)
	if slot != nil {
		if hit := slot.Load(); hit != nil && hit.word == word {
			return append(dst, hit.ids...)
		}
	}
	start := len(dst)
	dst = m.mergeWord(dst, word)
	if slot != nil {
		ids := append([]int32(nil), dst[start:]...)
		slot.Store(&cachedWord{strings.Clone(word), ids})
	}
	return dst
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

// mergeScratch is the working memory of mergeWord, which is reused between
// words.
type mergeScratch struct {
	symbols []symbol
	heap    []candidate
}

var mergePool = sync.Pool{New: func() any { return new(mergeScratch) }}

// mergeWord applies the merges of word in order of rank, leftmost first, in
// O(n log n): a heap holds the candidates, and entries that an earlier merge
// made stale are recognised when they come up.
func (m *bytePair) mergeWord(dst []int32, word string) []int32 {
	s := mergePool.Get().(*mergeScratch)
	defer mergePool.Put(s)
	s.symbols, s.heap = m.appendSymbols(s.symbols[:0], word), s.heap[:0]
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
		if now, ok := m.merges[pair{left.id, right.id}]; !ok || now.id != c.id {
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

// appendSymbols appends the bytes of word to list as linked symbols. Bytes
// outside the vocabulary become unk, or are left out so that their neighbours
// become adjacent, as in the reference.
func (m *bytePair) appendSymbols(list []symbol, word string) []symbol {
	lastUnknown := false
	for i := range len(word) {
		id := m.byteID[word[i]]
		if id < 0 {
			if m.unk < 0 || lastUnknown && m.fuseUnk {
				continue
			}
			id, lastUnknown = m.unk, true
		} else {
			lastUnknown = false
		}
		n := int32(len(list))
		list = append(list, symbol{id: id, prev: n - 1, next: n + 1})
	}
	if len(list) > 0 {
		list[len(list)-1].next = -1
	}
	return list
}

func (m *bytePair) pushCandidate(s *mergeScratch, pos int32) {
	left := s.symbols[pos]
	if left.next < 0 {
		return
	}
	if found, ok := m.merges[pair{left.id, s.symbols[left.next].id}]; ok {
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

// decode returns the text of tokens. A token with a character outside the byte
// alphabet is an added token and is its own text.
func (m *bytePair) decode(tokens []string) string {
	var out []byte
	for _, token := range tokens {
		start := len(out)
		for _, r := range token {
			b, ok := runeByte[r]
			if !ok {
				out = append(out[:start], token...)
				break
			}
			out = append(out, b)
		}
	}
	return replaceIllFormed(string(out))
}

// wordCache remembers the ids of recent words. It is a direct-mapped table: a
// word that hashes to a used slot replaces the old one, which bounds the
// memory. Each slot is one atomic pointer, so that readers never wait.
type wordCache struct {
	seed  maphash.Seed
	slots []atomic.Pointer[cachedWord]
}

type cachedWord struct {
	word string
	ids  []int32
}

const (
	cacheSlots      = 1 << 15 // about the number of distinct words of a GLUE task
	cacheWordLength = 64      // bytes; longer words rarely occur twice
)

func newWordCache() wordCache {
	return wordCache{maphash.MakeSeed(), make([]atomic.Pointer[cachedWord], cacheSlots)}
}

// slot returns the slot of word, or nil if word is too long for the cache.
func (c *wordCache) slot(word string) *atomic.Pointer[cachedWord] {
	if len(word) > cacheWordLength {
		return nil
	}
	return &c.slots[maphash.String(c.seed, word)%cacheSlots]
}
