// Package tokenizer turns text into the token ids of a Hugging Face encoder
// checkpoint: byte-level BPE (RoBERTa, GPT-2's scheme of Radford et al. 2019)
// and WordPiece (BERT, Devlin et al. 2018). The ids equal those of Hugging
// Face's own tokenizers library, including its Unicode tables, which are pinned
// here so that a newer Go toolchain cannot change a single id.
//
// A tokenizer comes from a folder (see [Load]), is immutable, and may encode
// from many goroutines at once. It never pads; batching is up to the caller.
package tokenizer

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Tokenizer encodes text for one checkpoint. Make one with [Load].
type Tokenizer struct {
	model  model
	tokens []string // token by id; "" for ids that the vocabulary does not use
	added  addedTokens
	single template
	pair   template
	pad    int32
	hash   [32]byte
	files  map[string][]byte
	unmade int
}

// model is the part of a tokenizer that differs between the two families.
type model interface {
	// normalize returns the text that is split into words for a raw text.
	normalize(text string) string
	// appendIDs splits normalized text into words and appends their token ids.
	appendIDs(dst []int32, text string) []int32
	// decode returns the text of tokens, which are spelled as in the
	// vocabulary.
	decode(tokens []string) string
}

// Encoding is one example: a text or a pair of texts with the special tokens
// the model expects, and no padding. IDs and TypeIDs have the same length T.
// TypeIDs are 0 throughout for RoBERTa, 0 and 1 for BERT's first and second text.
type Encoding struct {
	IDs     []int32
	TypeIDs []int32
}

// Encode returns the ids of text a, or of the pair (a, *pair) when pair is not
// nil. With maxLength > 0 the result, special tokens included, is cut to at most
// maxLength ids by Hugging Face's longest_first rule; 0 means no limit. If
// maxLength is smaller than the number of special tokens, the result is the
// special tokens alone. Bytes that are not UTF-8 are read as U+FFFD.
func (t *Tokenizer) Encode(a string, pair *string, maxLength int) Encoding {
	first := t.appendText(nil, a)
	var second []int32
	tmpl := &t.single
	if pair != nil {
		second = t.appendText(nil, *pair)
		tmpl = &t.pair
	}
	if maxLength > 0 {
		first, second = truncate(first, second, max(0, maxLength-tmpl.specials))
	}
	return tmpl.apply(first, second)
}

// appendText appends the ids of text without special tokens around it. Added
// tokens are matched first: some literally in the raw text, and the others in
// the normalized text between those.
func (t *Tokenizer) appendText(dst []int32, text string) []int32 {
	if !utf8.ValidString(text) {
		text = replaceIllFormed(text)
	}
	t.added.literal.split(text, func(raw string, id int32) {
		if id >= 0 {
			dst = append(dst, id)
			return
		}
		t.added.normalized.split(t.model.normalize(raw), func(piece string, id int32) {
			if id >= 0 {
				dst = append(dst, id)
				return
			}
			dst = t.model.appendIDs(dst, piece)
		})
	})
	return dst
}

// Decode returns readable text for ids, special tokens included, as Hugging
// Face's decode does with skip_special_tokens=False. Ids outside the vocabulary
// are left out.
func (t *Tokenizer) Decode(ids []int32) string {
	tokens := make([]string, 0, len(ids))
	for _, id := range ids {
		if token := t.Token(id); token != "" {
			tokens = append(tokens, token)
		}
	}
	return t.model.decode(tokens)
}

// Token returns the vocabulary's spelling of id, for example "Ġthe" or "##ing",
// and "" for an id outside the vocabulary.
func (t *Tokenizer) Token(id int32) string {
	if id < 0 || int(id) >= len(t.tokens) {
		return ""
	}
	return t.tokens[id]
}

// VocabSize returns the highest id plus one, added tokens included: the number
// of rows an embedding matrix needs.
func (t *Tokenizer) VocabSize() int { return len(t.tokens) }

// Specials returns the number of special tokens that Encode adds to a text or
// to a pair of texts.
func (t *Tokenizer) Specials(pair bool) int {
	if pair {
		return t.pair.specials
	}
	return t.single.specials
}

// Files returns the content of the files that the tokenizer was read from, by
// name. The caller must not change it.
func (t *Tokenizer) Files() map[string][]byte { return t.files }

// Warnings returns one line for each oddity of the tokenizer's files.
func (t *Tokenizer) Warnings() []string {
	// Published vocabularies have a few tokens that no merge produces.
	if t.unmade*100 <= len(t.tokens) {
		return nil
	}
	return []string{fmt.Sprintf("the tokenizer's merges make all but %d of its %d tokens, which no text can give; is the list of merges cut off?",
		t.unmade, len(t.tokens))}
}

// PadID returns the id of the padding token, or -1 when there is none.
func (t *Tokenizer) PadID() int32 { return t.pad }

// Hash returns a hash of everything that determines the ids of texts, which can
// be the key of a cache of encoded data. Folders with the same rules have the
// same hash, whatever the form of their files.
func (t *Tokenizer) Hash() [32]byte { return t.hash }

// replaceIllFormed replaces each maximal ill-formed subsequence of s by U+FFFD,
// as recommended by the Unicode Standard (section 3.9, table 3-8). Go's own
// conversions replace every byte or every run, which would change ids.
func replaceIllFormed(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			size = illFormedLen(s[i:])
		}
		b.WriteRune(r)
		i += size
	}
	return b.String()
}

// illFormedLen returns how many bytes of s, which starts ill-formed, could have
// begun a well-formed sequence. A prefix is viable if some continuation makes
// it valid. Trying the smallest and the largest continuation byte covers the
// restricted second bytes.
func illFormedLen(s string) int {
	n := 1
	for n < 3 && n < len(s) && viablePrefix(s[:n+1]) {
		n++
	}
	return n
}

func viablePrefix(p string) bool {
	for _, tail := range [...]string{"", "\x80", "\xbf", "\x80\x80", "\xbf\xbf"} {
		if utf8.ValidString(p+tail) && utf8.RuneCountInString(p+tail) == 1 {
			return true
		}
	}
	return false
}
