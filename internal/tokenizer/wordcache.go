package tokenizer

import (
	"hash/maphash"
	"slices"
	"strings"
	"sync/atomic"
)

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

// appendIDs appends the ids of word, which are remembered or are those that
// encode appends.
func (c *wordCache) appendIDs(dst []int32, word string, encode func(dst []int32, word string) []int32) []int32 {
	slot := c.slot(word)
	if slot != nil {
		if hit := slot.Load(); hit != nil && hit.word == word {
			return append(dst, hit.ids...)
		}
	}
	start := len(dst)
	dst = encode(dst, word)
	if slot != nil {
		slot.Store(&cachedWord{strings.Clone(word), slices.Clone(dst[start:])})
	}
	return dst
}
