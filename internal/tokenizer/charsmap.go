package tokenizer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/clipperhouse/uax29/v2/graphemes"
)

// charsmap is the precompiled_charsmap of SentencePiece (Kudo and Richardson 2018, section 3.5): a trie in a double
// array from sequences of bytes to places in a list of replacements, each of which ends with a zero byte.
type charsmap struct {
	blob  string // the content of the file
	trie  []uint32
	texts string
}

// wholeGrapheme is the number of bytes from which on a grapheme cluster is looked up character by character.
const wholeGrapheme = 6

// parseCharsmap reads a map: the size of the trie in bytes as a little-endian number of 32 bits, the trie, and the
// replacements.
func parseCharsmap(blob []byte) (*charsmap, error) {
	const word = 4
	if len(blob) < word {
		return nil, errors.New("precompiled_charsmap is shorter than 4 bytes; it begins with the size of its trie")
	}
	size := int64(binary.LittleEndian.Uint32(blob))
	rest := blob[word:]
	if size == 0 || size%word != 0 || size > int64(len(rest)) {
		return nil, fmt.Errorf("precompiled_charsmap says that its trie has %d bytes, and %d bytes follow; want a multiple "+
			"of 4 that is not more; the file is damaged", size, len(rest))
	}
	m := &charsmap{blob: string(blob), trie: make([]uint32, size/word), texts: string(rest[size:])}
	for i := range m.trie {
		m.trie[i] = binary.LittleEndian.Uint32(rest[i*word:])
	}
	if !utf8.ValidString(m.texts) {
		return nil, errors.New("precompiled_charsmap has replacements that are not UTF-8; the file is damaged")
	}
	return m, nil
}

// apply returns text with its characters replaced. As in the reference, a grapheme cluster of fewer than six bytes is
// replaced as a whole by what its shortest prefix in the map becomes, and otherwise each of its characters alone.
func (m *charsmap) apply(text string) string {
	var b strings.Builder
	clusters := graphemes.FromString(text)
	for clusters.Next() {
		cluster := clusters.Value()
		if len(cluster) < wholeGrapheme {
			if to, ok := m.lookup(cluster); ok {
				b.WriteString(to)
				continue
			}
		}
		for i, r := range cluster {
			char := cluster[i : i+utf8.RuneLen(r)]
			if to, ok := m.lookup(char); ok {
				char = to
			}
			b.WriteString(char)
		}
	}
	return b.String()
}

// lookup returns the replacement of the shortest prefix of key that the map has.
func (m *charsmap) lookup(key string) (to string, ok bool) {
	const leaf, label = 1 << 8, 1<<31 | 0xff
	offset := func(unit uint32) uint32 { return unit >> 10 << (unit & (1 << 9) >> 6) }
	at := offset(m.trie[0])
	for i := range len(key) {
		if at ^= uint32(key[i]); key[i] == 0 || int64(at) >= int64(len(m.trie)) || m.trie[at]&label != uint32(key[i]) {
			return "", false
		}
		unit := m.trie[at]
		if at ^= offset(unit); unit&leaf == 0 {
			continue
		}
		if int64(at) >= int64(len(m.trie)) {
			return "", false
		}
		start := int(m.trie[at] &^ (1 << 31))
		if start >= len(m.texts) || !utf8.RuneStart(m.texts[start]) {
			return "", false
		}
		to, _, _ = strings.Cut(m.texts[start:], "\x00")
		return to, true
	}
	return "", false
}
