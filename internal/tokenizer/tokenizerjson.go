package tokenizer

import (
	"encoding/json"
	"fmt"

	"github.com/lor2c/lor2c/internal/place"
)

// component is a part of tokenizer.json: its type, and the fields of all the
// types this package knows. What a type does not use stays nil.
type component struct {
	Type string `json:"type"`

	CleanText          *bool `json:"clean_text"`
	HandleChineseChars *bool `json:"handle_chinese_chars"`
	StripAccents       *bool `json:"strip_accents"`
	Lowercase          *bool `json:"lowercase"`

	AddPrefixSpace *bool `json:"add_prefix_space"`
	UseRegex       *bool `json:"use_regex"`

	Sep           *tokenAndID               `json:"sep"`
	Cls           *tokenAndID               `json:"cls"`
	Single        []templateItem            `json:"single"`
	Pair          []templateItem            `json:"pair"`
	SpecialTokens map[string]templateTokens `json:"special_tokens"`

	Cleanup *bool `json:"cleanup"`

	Normalizers   []component `json:"normalizers"`
	Pretokenizers []component `json:"pretokenizers"`
	Processors    []component `json:"processors"`
}

// templateItem is one piece of a template: exactly one field is set.
type templateItem struct {
	SpecialToken *templateRef `json:"SpecialToken"`
	Sequence     *templateRef `json:"Sequence"`
}

// templateRef names a special token, or the text "A" or "B".
type templateRef struct {
	ID     string `json:"id"`
	TypeID int32  `json:"type_id"`
}

// templateTokens are the ids behind a name, which may be several.
type templateTokens struct {
	IDs []int32 `json:"ids"`
}

// tokenAndID is written as the array [token, id].
type tokenAndID struct {
	token string
	id    int32
}

func (t *tokenAndID) UnmarshalJSON(data []byte) error {
	var parts []json.RawMessage
	if json.Unmarshal(data, &parts) != nil || len(parts) != 2 ||
		json.Unmarshal(parts[0], &t.token) != nil || json.Unmarshal(parts[1], &t.id) != nil {
		return fmt.Errorf("%s is not an array of a token and its id", excerpt(data))
	}
	return nil
}

// tokenizerJSON is tokenizer.json without the vocabulary and the merges, which
// are streamed.
type tokenizerJSON struct {
	AddedTokens   []addedToken `json:"added_tokens"`
	Normalizer    *component   `json:"normalizer"`
	PreTokenizer  *component   `json:"pre_tokenizer"`
	PostProcessor *component   `json:"post_processor"`
	Decoder       *component   `json:"decoder"`
	Padding       *struct {
		PadID *int32 `json:"pad_id"`
	} `json:"padding"`
	Model struct {
		Type                    string          `json:"type"`
		Dropout                 *float64        `json:"dropout"`
		UnkToken                *string         `json:"unk_token"`
		ContinuingSubwordPrefix *string         `json:"continuing_subword_prefix"`
		EndOfWordSuffix         *string         `json:"end_of_word_suffix"`
		FuseUnk                 bool            `json:"fuse_unk"`
		ByteFallback            bool            `json:"byte_fallback"`
		IgnoreMerges            bool            `json:"ignore_merges"`
		MaxInputCharsPerWord    *int            `json:"max_input_chars_per_word"`
		Merges                  json.RawMessage `json:"merges"`
		Vocab                   json.RawMessage `json:"vocab"`
	} `json:"model"`
}

// modelType infers the type that older files leave out, from the fields that
// only one type has, in the order the reference tries them.
func (f *tokenizerJSON) modelType() string {
	m := &f.Model
	switch {
	case m.Type != "":
		return m.Type
	case m.Merges != nil:
		return "BPE"
	case m.MaxInputCharsPerWord != nil:
		return "WordPiece"
	case len(m.Vocab) > 0 && m.Vocab[0] == '[':
		return "Unigram"
	}
	return "WordLevel"
}

// fromTokenizerJSON reads tokenizer.json.
func fromTokenizerJSON(d *folder, cfg *config) (*builder, error) {
	src, err := d.read(tokenizerFile)
	if err != nil {
		return nil, err
	}
	var f tokenizerJSON
	if err := src.unmarshal(&f); err != nil {
		return nil, err
	}
	if err := src.checkAdded(len(f.AddedTokens)); err != nil {
		return nil, err
	}
	b := &builder{source: src, added: f.AddedTokens, names: cfg.Names}
	if f.Padding != nil {
		b.padID = f.Padding.PadID
	}
	// The family decides which tokens have a role when no file says so.
	var defaults specialNames
	switch kind := f.modelType(); kind {
	case "BPE":
		defaults = robertaNames
		err = b.readBPE(&f, cfg)
	case "WordPiece":
		defaults = bertNames
		err = b.readWordPiece(&f, cfg)
	default:
		err = src.unsupported("model", kind, "BPE and WordPiece")
	}
	if err != nil {
		return nil, err
	}
	if err := b.readPostProcessor(f.PostProcessor); err != nil {
		return nil, err
	}
	b.assumeNames(defaults)
	return b, nil
}

// assumeNames fills roles that no file assigns with the family's usual tokens,
// where tokenizer.json lists such an added token.
func (b *builder) assumeNames(defaults specialNames) {
	present := map[string]*addedToken{}
	for i, t := range b.added {
		present[t.Content] = &b.added[i]
	}
	for _, p := range []struct{ mine, usual **addedToken }{
		{&b.names.Pad, &defaults.Pad}, {&b.names.Cls, &defaults.Cls}, {&b.names.Sep, &defaults.Sep},
	} {
		if *p.mine == nil {
			*p.mine = present[(*p.usual).Content]
		}
	}
}

// unsupported words the refusal of a component, and what to look for instead.
func (s *source) unsupported(part, kind, supported string) error {
	if kind == "" {
		kind = "none"
	}
	// A type that could be misread, or is long, is quoted.
	if quoted := place.Quote(kind); quoted != `"`+kind+`"` {
		kind = quoted
	}
	return s.errorf("%s %s is not supported; supported: %s", part, kind, supported)
}

// only unwraps a Sequence of one and turns a missing component into an empty one.
func only(c *component, parts func(*component) []component) *component {
	if c == nil {
		return &component{}
	}
	if inner := parts(c); c.Type == "Sequence" && len(inner) == 1 {
		return &inner[0]
	}
	return c
}
