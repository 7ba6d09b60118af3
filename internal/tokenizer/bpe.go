package tokenizer

import (
	"slices"
	"unicode/utf8"
)

// bytePair is a byte-level BPE model.
type bytePair struct {
	byteID         [256]int32 // id of each single byte, -1 where the vocabulary has none
	merges         mergeTable
	whole          map[string]int32
	unk            int32  // id for a byte the vocabulary lacks; -1 drops such bytes
	fuseUnk        bool   // one unk for a run of unknown bytes
	compose        bool   // normalize to NFC
	splitNumerals  bool   // each numeral is a part of its own before words are found
	pattern        string // the regular expression of wordEnd, a key of wordRules
	wordEnd        wordPattern
	addPrefixSpace bool
	cache          wordCache
}

// maxWord is the largest number of bytes that are merged as one word.
const maxWord = 1 << 20

func (m *bytePair) normalize(text string) string {
	if m.compose {
		return composed(text)
	}
	return text
}

func (m *bytePair) appendIDs(dst []int32, text string, _ bool) []int32 {
	if !m.splitNumerals {
		return m.appendWords(dst, text)
	}
	splitNumerals(text, func(part string) { dst = m.appendWords(dst, part) })
	return dst
}

func (m *bytePair) appendWords(dst []int32, text string) []int32 {
	if text == "" {
		return dst
	}
	if m.addPrefixSpace && text[0] != ' ' {
		text = " " + text
	}
	for i := 0; i < len(text); {
		// Merging takes forty bytes of memory per byte of a word. No model has
		// a position for text this far into a word.
		end := min(m.wordEnd(text, i), i+maxWord)
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
	return m.cache.appendIDs(dst, word, m.mergeWord)
}

func (m *bytePair) mergeWord(dst []int32, word string) []int32 {
	s := mergePool.Get().(*mergeScratch)
	defer mergePool.Put(s)
	s.symbols = s.symbols[:0]
	// Bytes outside the vocabulary become unk, or are left out so that their
	// neighbours become adjacent, as in the reference.
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
		s.add(id)
	}
	s.end()
	return m.merges.apply(s, dst)
}

func (m *bytePair) decode(tokens []string) string { return decodeAll(m.decoder(), tokens) }

func (m *bytePair) decoder() textDecoder { return &byteDecoder{} }

// byteDecoder collects the bytes of byte-level tokens.
type byteDecoder struct {
	tail []byte // the start of a character that the next tokens may complete
}

// push appends the text of a token. A token with a character outside the byte
// alphabet is an added token and is its own text.
func (d *byteDecoder) push(dst []byte, token string) []byte {
	start := len(d.tail)
	for _, r := range token {
		b, ok := runeByte[r]
		if !ok {
			d.tail = append(d.tail[:start], token...)
			break
		}
		d.tail = append(d.tail, b)
	}
	whole := len(d.tail) - unfinished(d.tail)
	dst = append(dst, replaceIllFormed(string(d.tail[:whole]))...)
	d.tail = slices.Delete(d.tail, 0, whole)
	return dst
}

func (d *byteDecoder) flush(dst []byte) []byte {
	dst = append(dst, replaceIllFormed(string(d.tail))...)
	d.tail = d.tail[:0]
	return dst
}

// peek flushes a copy of d, which does not change the bytes of d.
func (d *byteDecoder) peek(dst []byte) []byte {
	c := *d
	return c.flush(dst)
}

// unfinished returns how many bytes at the end of b, at most 3, are the start
// of a character that more bytes may complete.
func unfinished(b []byte) int {
	for n := min(3, len(b)); n > 0; n-- {
		if tail := string(b[len(b)-n:]); utf8.RuneStart(tail[0]) && !utf8.FullRuneInString(tail) {
			return n
		}
	}
	return 0
}
