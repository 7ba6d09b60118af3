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
	// bare is true for a decoder without a post_processor: no special token is
	// put around a text unless tokenizer_config.json asks for it.
	bare  bool
	padID *int32 // the pad id in tokenizer.json
}

// newBytePair returns the model of a vocabulary and its merges.
func newBytePair(v *vocab, merges []mergePair, src *source) (*bytePair, error) {
	m := &bytePair{unk: -1, pattern: gpt2Pattern, wordEnd: wordEnd, cache: newWordCache()}
	for b, r := range byteRune {
		m.byteID[b] = -1
		if id, ok := v.ids[string(r)]; ok {
			m.byteID[b] = id
		}
	}
	var err error
	m.merges, err = newMergeTable(v, merges, src)
	return m, err
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
	added, known := b.allAdded(cfg)
	for i := range added {
		if err := b.place(all, &added[i]); err != nil {
			return nil, err
		}
	}
	t := &Tokenizer{model: b.model, tokens: all.tokens, pad: -1}
	t.roles = b.rolesOf(all, added)
	switch m := b.model.(type) {
	case *bytePair:
		if m.whole == nil {
			t.unmade = m.merges.unmade(b.vocab, known)
		}
	case *piecePair:
		t.unmade = m.merges.unmade(b.vocab, known)
	}
	if err := b.setTemplates(t, all, cfg); err != nil {
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
	t.setSpaced()
	return t, nil
}

// allAdded lists the special and added tokens, each once, and returns the set of their texts. The first description of
// a token counts: that of tokenizer.json, then that of added_tokens_decoder, then that of its role.
func (b *builder) allAdded(cfg *config) (added []addedToken, known map[string]bool) {
	added, known = append(added, b.added...), map[string]bool{}
	for _, t := range added {
		known[t.Content] = true
	}
	for _, t := range append(append(cfg.added, b.names.list()...), cfg.extra()...) {
		if !known[t.Content] {
			known[t.Content] = true
			added = append(added, t)
		}
	}
	return added, known
}

// rolesOf returns which tokens of the whole vocabulary begin and end a text, and which are special.
func (b *builder) rolesOf(all *vocab, added []addedToken) roles {
	r := roles{bos: -1, eos: -1, unk: -1, special: map[int32]bool{}, ids: all.ids}
	for _, a := range added {
		if a.Special {
			r.special[a.id] = true
		}
	}
	for _, named := range []struct {
		id    *int32
		token *addedToken
	}{{&r.bos, b.names.Bos}, {&r.eos, b.names.Eos}, {&r.unk, b.names.Unk}} {
		if named.token == nil {
			continue
		}
		if id, ok := all.ids[named.token.Content]; ok {
			*named.id = id
		}
	}
	return r
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
		return b.source.errorf("added token %s has id %d, but the vocabulary gives it %d; they must agree",
			place.Quote(t.Content), stated, id)
	default:
		return b.source.errorf("added token %s has id %d; the next id after the vocabulary is %d", place.Quote(t.Content),
			stated, t.id)
	}
	if !ok {
		all.set(t.Content, t.id)
	}
	return nil
}

// setAdded builds the splitters of t. Tokens that are matched in normalized
// text are normalized too, so that "<New>" is found after lower-casing.
func (b *builder) setAdded(t *Tokenizer, added []addedToken) error {
	var all, plain struct{ literal, normalized []pattern }
	for _, a := range added {
		p := pattern{a.Content, a}
		into, plainInto := &all.literal, &plain.literal
		if a.Normalized {
			if p.text = b.model.normalize(a.Content); p.text == "" {
				return b.source.errorf("added token %s is empty after normalization; set its normalized to false",
					place.Quote(a.Content))
			}
			into, plainInto = &all.normalized, &plain.normalized
		}
		*into = append(*into, p)
		if !a.Special {
			*plainInto = append(*plainInto, p)
		}
	}
	t.added = addedTokens{newSplitter(all.literal), newSplitter(all.normalized)}
	t.plain = addedTokens{newSplitter(plain.literal), newSplitter(plain.normalized)}
	return nil
}

// setTemplates sets the templates of t to those of the post_processor. If there
// is none, a decoder gets the tokens that tokenizer_config.json asks for, and
// an encoder its classifier and separator tokens as its family arranges them.
func (b *builder) setTemplates(t *Tokenizer, all *vocab, cfg *config) error {
	if b.single != nil {
		t.single, t.pair = *b.single, *b.pair
		return nil
	}
	if b.bare {
		var err error
		t.single, t.pair, err = b.bareTemplates(t, cfg)
		return err
	}
	var ids [2]int32
	for i, token := range []*addedToken{b.names.Cls, b.names.Sep} {
		role := [...]string{"cls_token", "sep_token"}[i]
		if token == nil {
			return b.source.errorf("there is no %s; give a post_processor, or name the %s in %s", role, role, configFile)
		}
		id, ok := all.ids[token.Content]
		if !ok {
			return b.source.errorf("%s %s is not in the vocabulary; add it, or name another %s in %s", role,
				place.Quote(token.Content), role, configFile)
		}
		ids[i] = id
	}
	if _, ok := b.model.(*wordPiece); ok && !cfg.mpnet() {
		t.single, t.pair = bertTemplates(ids[0], ids[1])
	} else {
		t.single, t.pair = robertaTemplates(ids[0], ids[1])
	}
	return nil
}

// bareTemplates returns the templates that add_bos_token and add_eos_token of
// tokenizer_config.json describe.
func (b *builder) bareTemplates(t *Tokenizer, cfg *config) (single, pair template, err error) {
	var around [2]templatePiece
	for i, r := range []struct {
		key string
		on  bool
		id  int32
	}{{"bos", isSet(cfg.AddBosToken, false), t.roles.bos}, {"eos", isSet(cfg.AddEosToken, false), t.roles.eos}} {
		around[i] = templatePiece{text: specialPiece}
		if !r.on {
			continue
		}
		if r.id < 0 {
			return single, pair,
				b.source.errorf("add_%s_token is true, but there is no %s_token in the vocabulary; name it in %s", r.key, r.key,
					configFile)
		}
		around[i].ids = []int32{r.id}
	}
	before, after := around[0], around[1]
	beforeB, afterB := before, after
	beforeB.typeID, afterB.typeID = 1, 1
	return newTemplate(before, templatePiece{text: 0}, after),
		newTemplate(before, templatePiece{text: 0}, after, beforeB, templatePiece{text: 1, typeID: 1}, afterB), nil
}
