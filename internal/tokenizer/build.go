package tokenizer

import (
	"strings"

	"github.com/lor2c/lor2c/internal/place"
)

// builder collects the content of the files of one tokenizer.
type builder struct {
	source *source // the file with the vocabulary
	vocab  *vocab
	model  model
	names  specialNames
	added  []addedToken
	// single and pair are nil when no post_processor was given.
	single, pair *template
	padID        *int32 // the pad id in tokenizer.json
}

// newBytePair returns the model of a vocabulary and its merges, which it
// converts to ids so that encoding compares numbers only. If a pair occurs
// twice the later rank counts, as in the reference. It returns an error, placed
// in src, the file of the merges, if a part or the result of a merge is not in
// the vocabulary.
func newBytePair(v *vocab, merges []mergePair, src *source) (*bytePair, error) {
	m := &bytePair{merges: make(map[pair]merge, len(merges)), unk: -1, cache: newWordCache()}
	for b, r := range byteRune {
		m.byteID[b] = -1
		if id, ok := v.ids[string(r)]; ok {
			m.byteID[b] = id
		}
	}
	for rank, p := range merges {
		var ids [3]int32
		for i, token := range [...]string{p.left, p.right, p.left + p.right} {
			id, ok := v.ids[token]
			if !ok {
				return nil, src.errorAt(p.at, "merge of %s and %s needs token %s, which the vocabulary lacks; vocabulary and merges must come from the same model",
					place.Quote(p.left), place.Quote(p.right), place.Quote(token))
			}
			ids[i] = id
		}
		m.merges[pair{ids[0], ids[1]}] = merge{int32(rank), ids[2]}
	}
	return m, nil
}

// wholeWords returns the id of every token by its text, for ignore_merges. It
// leaves out tokens with characters outside the byte alphabet, because they
// cannot spell a word.
func wholeWords(v *vocab) map[string]int32 {
	out := make(map[string]int32, len(v.ids))
next:
	for token, id := range v.ids {
		text := make([]byte, 0, len(token))
		for _, r := range token {
			b, ok := runeByte[r]
			if !ok {
				continue next
			}
			text = append(text, b)
		}
		out[string(text)] = id
	}
	return out
}

// newWordPiece returns a WordPiece model whose vocabulary is divided into word
// starts and continuations; other settings are the reference's defaults. A
// token with the prefix is also a word start, because the reference looks up
// word starts in the whole vocabulary.
func newWordPiece(v *vocab, prefix string, unk int32) *wordPiece {
	m := &wordPiece{first: v.ids, rest: map[string]int32{}, unk: unk, maxRunes: 100, prefix: prefix, cleanup: true}
	for token, id := range v.ids {
		m.longest = max(m.longest, len(token))
		if tail, ok := strings.CutPrefix(token, prefix); ok {
			m.rest[tail] = id
		}
	}
	return m
}

// requireNamed returns an error if a plain vocabulary lacks a token that it
// must have. The reference would append the token with an id for which the
// embedding has no row.
func (b *builder) requireNamed() error {
	for _, n := range []struct {
		role  string
		token *addedToken
	}{{"unk_token", b.names.Unk}, {"cls_token", b.names.Cls}, {"sep_token", b.names.Sep}} {
		if _, ok := b.vocab.ids[n.token.Content]; !ok {
			return b.source.errorf("%s %s is not in the vocabulary; add it, or name another %s in %s",
				n.role, place.Quote(n.token.Content), n.role, configFile)
		}
	}
	return nil
}

// finish adds the special and added tokens and returns the tokenizer.
func (b *builder) finish(cfg *config) (*Tokenizer, error) {
	// The model looks up words in the trained vocabulary only, without added
	// tokens.
	all := &vocab{ids: map[string]int32{}, tokens: append([]string(nil), b.vocab.tokens...)}
	for token, id := range b.vocab.ids {
		all.ids[token] = id
	}
	// The first description of a token counts: that of tokenizer.json, then
	// that of added_tokens_decoder, then that of its role.
	added := append([]addedToken(nil), b.added...)
	known := map[string]bool{}
	for _, t := range added {
		known[t.Content] = true
	}
	for _, t := range append(append(cfg.added, b.names.list()...), cfg.extra()...) {
		if !known[t.Content] {
			known[t.Content] = true
			added = append(added, t)
		}
	}
	for i := range added {
		if err := b.place(all, &added[i]); err != nil {
			return nil, err
		}
	}
	t := &Tokenizer{model: b.model, tokens: all.tokens, pad: -1}
	if m, ok := b.model.(*bytePair); ok {
		t.unmade = m.unmade(b.vocab, known)
	}
	if err := b.setTemplates(t, all); err != nil {
		return nil, err
	}
	// A pad token that is named takes precedence over the padding settings of
	// tokenizer.json, which only record how text was once padded.
	if b.padID != nil && t.Token(*b.padID) != "" {
		t.pad = *b.padID
	}
	if b.names.Pad != nil {
		if id, ok := all.ids[b.names.Pad.Content]; ok {
			t.pad = id
		}
	}
	if err := b.setAdded(t, added); err != nil {
		return nil, err
	}
	t.hash = hashOf(t, b.vocab, added)
	return t, nil
}

// place sets the id of an added token: its id in the vocabulary if it has one,
// and otherwise the next free id. The reference ignores the id in the file, so
// place returns an error if the file has another id.
func (b *builder) place(all *vocab, t *addedToken) error {
	if t.Content == "" {
		return b.source.errorf("an added token is empty; it must have some text")
	}
	stated := t.id
	id, ok := all.ids[t.Content]
	if ok {
		t.id = id
	} else {
		t.id = int32(len(all.tokens))
	}
	switch {
	case stated < 0 || stated == t.id:
	case ok:
		return b.source.errorf("added token %s has id %d, but the vocabulary gives it %d; they must agree", place.Quote(t.Content), stated, id)
	default:
		return b.source.errorf("added token %s has id %d; the next id after the vocabulary is %d", place.Quote(t.Content), stated, t.id)
	}
	if !ok {
		all.set(t.Content, t.id)
	}
	return nil
}

// setAdded builds the two splitters of t. Tokens that are matched in normalized
// text are normalized too, so that "<New>" is found after lower-casing.
func (b *builder) setAdded(t *Tokenizer, added []addedToken) error {
	var literal, normalized []pattern
	for _, a := range added {
		if !a.Normalized {
			literal = append(literal, pattern{a.Content, a})
			continue
		}
		text := b.model.normalize(a.Content)
		if text == "" {
			return b.source.errorf("added token %s is empty after normalization; set its normalized to false", place.Quote(a.Content))
		}
		normalized = append(normalized, pattern{text, a})
	}
	t.added = addedTokens{newSplitter(literal), newSplitter(normalized)}
	return nil
}

// setTemplates sets the templates of t to those of the post_processor. If there
// is none, it arranges the named classifier and separator tokens as the model's
// family does.
func (b *builder) setTemplates(t *Tokenizer, all *vocab) error {
	if b.single != nil {
		t.single, t.pair = *b.single, *b.pair
		return nil
	}
	var ids [2]int32
	for i, token := range []*addedToken{b.names.Cls, b.names.Sep} {
		role := [...]string{"cls_token", "sep_token"}[i]
		if token == nil {
			return b.source.errorf("there is no %s; give a post_processor, or name the %s in %s", role, role, configFile)
		}
		id, ok := all.ids[token.Content]
		if !ok {
			return b.source.errorf("%s %s is not in the vocabulary; add it, or name another %s in %s", role, place.Quote(token.Content), role, configFile)
		}
		ids[i] = id
	}
	if _, ok := b.model.(*wordPiece); ok {
		t.single, t.pair = bertTemplates(ids[0], ids[1])
	} else {
		t.single, t.pair = robertaTemplates(ids[0], ids[1])
	}
	return nil
}
