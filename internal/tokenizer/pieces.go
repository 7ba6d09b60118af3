package tokenizer

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// blank is the character that stands for a space in the vocabularies of
// SentencePiece (Kudo and Richardson 2018).
const blank = "▁"

// prefixRule says where a blank is put before a text.
type prefixRule uint8

const (
	prefixNever prefixRule = iota
	prefixAlways
	prefixFirst // only at the start of the whole text
)

// piecePair is a BPE model over characters, of which those that the vocabulary
// lacks are spelled as bytes: the scheme of LLaMA 1 and 2 and of Mistral.
type piecePair struct {
	chars  map[rune]int32
	bytes  byteTokens
	merges mergeTable
	// inNormalizer is true if spaces are replaced before the added tokens that
	// are matched in normalized text, and the blank is put before every text
	// that is not empty. Otherwise it is put only before a text that does not
	// begin with one.
	inNormalizer bool
	prefix       prefixRule
	splitBlanks  bool // a blank starts a new word, which no merge crosses
	// independent is true if no merge has a left part that ends in another
	// character than a blank and a right part that begins with a blank. Text can
	// then be divided there without a change in ids.
	independent bool
	strip       bool // decoding drops one space at the start of the text
	cache       wordCache
}

// newPiecePair returns the model of a vocabulary and its merges. It returns an
// error if the vocabulary does not have all 256 byte tokens.
func newPiecePair(v *vocab, merges mergeTable, src *source) (*piecePair, error) {
	m := &piecePair{chars: map[rune]int32{}, merges: merges, independent: true, cache: newWordCache()}
	if err := m.bytes.read(v, src); err != nil {
		return nil, err
	}
	for token, id := range v.ids {
		if r, size := utf8.DecodeRuneInString(token); size == len(token) {
			m.chars[r] = id
		}
	}
	for p := range merges {
		if strings.HasPrefix(v.tokens[p.right], blank) && !strings.HasSuffix(v.tokens[p.left], blank) {
			m.independent = false
			break
		}
	}
	return m, nil
}

func (m *piecePair) normalize(text string) string {
	if !m.inNormalizer || text == "" {
		return text
	}
	text = strings.ReplaceAll(text, " ", blank)
	if m.prefix == prefixAlways {
		text = blank + text
	}
	return text
}

func (m *piecePair) appendIDs(dst []int32, text string, first bool) []int32 {
	if !m.inNormalizer {
		text = strings.ReplaceAll(text, " ", blank)
		if (m.prefix == prefixAlways || m.prefix == prefixFirst && first) && !strings.HasPrefix(text, blank) {
			text = blank + text
		}
	}
	for text != "" {
		end := m.wordEnd(text)
		dst = m.cache.appendIDs(dst, text[:end], m.mergeWord)
		text = text[end:]
	}
	return dst
}

// wordEnd returns the end of the first part of text that can be merged on its
// own.
func (m *piecePair) wordEnd(text string) int {
	at := 0
	if m.independent {
		for strings.HasPrefix(text[at:], blank) {
			at += len(blank)
			if m.splitBlanks {
				break
			}
		}
		if n := strings.Index(text[at:], blank); n >= 0 {
			text = text[:at+n]
		}
	} else if m.splitBlanks {
		if n := strings.Index(text[1:], blank); n >= 0 {
			text = text[:1+n]
		}
	}
	if len(text) <= maxWord {
		return len(text)
	}
	end := maxWord
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return end
}

func (m *piecePair) mergeWord(dst []int32, word string) []int32 {
	s := mergePool.Get().(*mergeScratch)
	defer mergePool.Put(s)
	s.symbols = s.symbols[:0]
	for i, r := range word {
		if id, ok := m.chars[r]; ok {
			s.add(id)
			continue
		}
		for _, b := range []byte(word[i : i+utf8.RuneLen(r)]) {
			s.add(m.bytes[b])
		}
	}
	s.end()
	return m.merges.apply(s, dst)
}

func (m *piecePair) decode(tokens []string) string { return decodeAll(m.decoder(), tokens) }

func (m *piecePair) decoder() textDecoder { return &pieceDecoder{strip: m.strip} }

// pieceDecoder joins pieces and the bytes of byte tokens.
type pieceDecoder struct {
	strip bool   // the next character is the first of the text, and dropped if it is a space
	bytes []byte // of the run of byte tokens that was pushed last
}

func (d *pieceDecoder) push(dst []byte, token string) []byte {
	if b, ok := byteOf(token); ok {
		d.bytes = append(d.bytes, b)
		return dst
	}
	dst = d.flush(dst)
	return d.append(dst, strings.ReplaceAll(token, blank, " "))
}

// flush appends the text of a run of byte tokens.
func (d *pieceDecoder) flush(dst []byte) []byte {
	text := textOfBytes(d.bytes)
	d.bytes = d.bytes[:0]
	return d.append(dst, text)
}

// peek flushes a copy of d, which does not change the bytes of d.
func (d *pieceDecoder) peek(dst []byte) []byte {
	c := *d
	return c.flush(dst)
}

func (d *pieceDecoder) append(dst []byte, text string) []byte {
	if text != "" && d.strip {
		d.strip = false
		text = strings.TrimPrefix(text, " ")
	}
	return append(dst, text...)
}

// textOfBytes returns the text of a run of byte tokens. As in the reference, every
// byte of a run that is not UTF-8 as a whole becomes U+FFFD.
func textOfBytes(run []byte) string {
	if !utf8.Valid(run) {
		return strings.Repeat("\ufffd", len(run))
	}
	return string(run)
}

// byteTokens has the id of the token of each byte.
type byteTokens [256]int32

// read returns an error if the vocabulary lacks the token of a byte. The reference would use the unknown token for some
// characters.
func (t *byteTokens) read(v *vocab, src *source) error {
	for b := range t {
		name := fmt.Sprintf("<0x%02X>", b)
		id, ok := v.ids[name]
		if !ok {
			return src.errorf("byte token %s is not in the vocabulary; byte_fallback needs all 256", name)
		}
		t[b] = id
	}
	return nil
}

// byteOf returns the byte that a token such as <0x0A> stands for.
func byteOf(token string) (byte, bool) {
	if len(token) != 6 || token[:3] != "<0x" || token[5] != '>' {
		return 0, false
	}
	var b byte
	for _, c := range []byte(token[3:5]) {
		switch {
		case '0' <= c && c <= '9':
			b = b<<4 | (c - '0')
		case 'A' <= c && c <= 'F':
			b = b<<4 | (c - 'A' + 10)
		case 'a' <= c && c <= 'f':
			b = b<<4 | (c - 'a' + 10)
		default:
			return 0, false
		}
	}
	return b, true
}
