// Package tokenizer turns text into the token ids of a Hugging Face checkpoint,
// and ids into text. It supports WordPiece (BERT, Devlin et al. 2018, DistilBERT and MPNet),
// byte-level BPE (RoBERTa, GPT-2's scheme of Radford et al. 2019, and the
// splits of Llama 3, Qwen and SmolLM), the BPE of SentencePiece with byte
// fallback (LLaMA, Mistral) and its Unigram model (XLM-RoBERTa, CamemBERT). The ids equal those of Hugging Face's own
// tokenizers library. Its Unicode tables are embedded, so that a newer Go
// toolchain does not change any id.
//
// A tokenizer is read from a folder (see [Load]), is immutable, and may encode
// from many goroutines at once. It never pads; batching is up to the caller.
package tokenizer

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// Tokenizer encodes text for one checkpoint. Make one with [Load].
type Tokenizer struct {
	model  model
	spaced model    // encodes the words of a list; nil if model does
	tokens []string // token by id; "" for ids that the vocabulary does not use
	added  addedTokens
	plain  addedTokens // those of added that are not special
	roles  roles
	chat   source // chat_template of tokenizer_config.json; ChatTemplate reads it
	single template
	pair   template
	pad    int32
	hash   [32]byte
	files  map[string][]byte
	unmade int
}

// model is the part of a tokenizer that differs between the families.
type model interface {
	// normalize returns the text that is split into words for a raw text.
	normalize(text string) string
	// appendIDs splits normalized text into words and appends their token ids.
	// first is true if nothing comes before text.
	appendIDs(dst []int32, text string, first bool) []int32
	// decode returns the text of tokens, which are spelled as in the
	// vocabulary.
	decode(tokens []string) string
}

// Encoding is one example: a text or a pair of texts with the special tokens
// the model expects, and no padding. IDs and TypeIDs have the same length T.
// TypeIDs are 0 throughout for RoBERTa and MPNet, 0 and 1 for BERT's first and second text.
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
	first := t.appendText(nil, a, &t.added, "")
	var second []int32
	tmpl := &t.single
	if pair != nil {
		second = t.appendText(nil, *pair, &t.added, "")
		tmpl = &t.pair
	}
	if maxLength > 0 {
		first, second = truncate(first, second, max(0, maxLength-tmpl.specials))
	}
	return tmpl.apply(first, second)
}

// AppendIDs appends the ids of text without special tokens around it. If
// parseSpecial is true, a special token that text spells, such as </s>, becomes
// its id, as Encode has it; otherwise it is encoded as ordinary text, which is
// what text of unknown origin needs.
func (t *Tokenizer) AppendIDs(dst []int32, text string, parseSpecial bool) []int32 {
	if parseSpecial {
		return t.appendText(dst, text, &t.added, "")
	}
	return t.appendText(dst, text, &t.plain, "")
}

// AppendGuarded does what AppendIDs does with parseSpecial, and removes guard
// from the text once special tokens were found. A special token with guard
// inside it is therefore encoded as ordinary text.
func (t *Tokenizer) AppendGuarded(dst []int32, text, guard string) []int32 {
	return t.appendText(dst, text, &t.added, guard)
}

// appendText appends the ids of text without special tokens around it. Added
// tokens are matched first: some literally in the raw text, and the others in
// the normalized text between those. guard, if it is not empty, is removed from
// the raw text between the tokens that are matched there.
func (t *Tokenizer) appendText(dst []int32, text string, added *addedTokens, guard string) []int32 {
	if !utf8.ValidString(text) {
		text = replaceIllFormed(text)
	}
	first := true
	added.literal.split(text, func(raw string, id int32) {
		if id >= 0 {
			dst, first = append(dst, id), false
			return
		}
		if guard != "" {
			raw = strings.ReplaceAll(raw, guard, "")
		}
		added.normalized.split(t.model.normalize(raw), func(piece string, id int32) {
			if id >= 0 {
				dst = append(dst, id)
			} else {
				dst = t.model.appendIDs(dst, piece, first)
			}
			first = false
		})
	})
	return dst
}

// Decode returns readable text for ids, special tokens included, as Hugging
// Face's decode does with skip_special_tokens=False. Ids outside the vocabulary
// are left out.
func (t *Tokenizer) Decode(ids []int32) string { return t.decode(ids, t.Token) }

// Text returns the text of ids without the special tokens among them, as
// Hugging Face's decode does with skip_special_tokens=True.
func (t *Tokenizer) Text(ids []int32) string { return t.decode(ids, t.plainToken) }

func (t *Tokenizer) decode(ids []int32, spelling func(id int32) string) string {
	tokens := make([]string, 0, len(ids))
	for _, id := range ids {
		if token := spelling(id); token != "" {
			tokens = append(tokens, token)
		}
	}
	return t.model.decode(tokens)
}

// plainToken returns the spelling of id, or "" for a special token.
func (t *Tokenizer) plainToken(id int32) string {
	if t.roles.special[id] {
		return ""
	}
	return t.Token(id)
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

// Affixes returns the special tokens that Encode puts before and after a single
// text. A decoder's are at most one token at the start (BOS) and one at the end
// (EOS). The caller must not change them.
func (t *Tokenizer) Affixes() (before, after []int32) {
	side := &before
	for _, p := range t.single.pieces {
		if p.text == 0 {
			side = &after
			continue
		}
		*side = append(*side, p.ids...)
	}
	return before, after
}

// BOS and EOS return the ids of the tokens that the files name as the beginning
// and the end of a sequence, or -1 if there is none. Encode does not
// necessarily use them.
func (t *Tokenizer) BOS() int32 { return t.roles.bos }

// EOS returns the id of the token at the end of a sequence; see
// [Tokenizer.BOS].
func (t *Tokenizer) EOS() int32 { return t.roles.eos }

// ID returns the id of a token that is spelled as in the vocabulary, such as
// "<|im_end|>", and whether there is one.
func (t *Tokenizer) ID(token string) (int32, bool) {
	id, ok := t.roles.ids[token]
	return id, ok
}

// Special reports whether id is a special token, which is control and not text.
func (t *Tokenizer) Special(id int32) bool { return t.roles.special[id] }

// SpecialTokens returns the spellings of the special tokens, in order of their
// ids.
func (t *Tokenizer) SpecialTokens() []string {
	var list []string
	for _, id := range slices.Sorted(maps.Keys(t.roles.special)) {
		list = append(list, t.tokens[id])
	}
	return list
}

// roles has the purposes of the tokens of a tokenizer.
type roles struct {
	bos, eos, unk int32
	special       map[int32]bool
	ids           map[string]int32 // of every token, added tokens included
}

// Files returns the content of the files that the tokenizer was read from, by
// name. The caller must not change it.
func (t *Tokenizer) Files() map[string][]byte { return t.files }

// Warnings returns one line for each probable mistake in the tokenizer's files.
func (t *Tokenizer) Warnings() []string {
	// Published vocabularies have a few tokens that no merge produces.
	if t.unmade*100 <= len(t.tokens) {
		return nil
	}
	return []string{fmt.Sprintf("no text can give %d of the tokenizer's %d tokens, because its merges do not produce "+
		"them; check whether the list of merges is complete",
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
