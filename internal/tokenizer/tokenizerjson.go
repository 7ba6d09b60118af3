package tokenizer

import (
	"encoding/json"
	"fmt"

	"github.com/lor2c/lor2c/internal/place"
)

// component is a part of tokenizer.json: its type, and the fields of all types
// that this package supports. Fields that a type does not have are nil.
type component struct {
	Type string `json:"type"`

	CleanText          *bool `json:"clean_text"`
	HandleChineseChars *bool `json:"handle_chinese_chars"`
	StripAccents       *bool `json:"strip_accents"`
	Lowercase          *bool `json:"lowercase"`

	AddPrefixSpace   *bool `json:"add_prefix_space"`
	UseRegex         *bool `json:"use_regex"`
	IndividualDigits bool  `json:"individual_digits"`

	Pattern       *textPattern `json:"pattern"`
	Behavior      string       `json:"behavior"`
	Invert        bool         `json:"invert"`
	Prepend       string       `json:"prepend"`
	Content       string       `json:"content"`
	Replacement   string       `json:"replacement"`
	PrependScheme *string      `json:"prepend_scheme"`
	Split         *bool        `json:"split"`
	Charsmap      string       `json:"precompiled_charsmap"`
	StripLeft     *bool        `json:"strip_left"`
	StripRight    *bool        `json:"strip_right"`
	Start         int          `json:"start"`
	Stop          int          `json:"stop"`

	Sep           *tokenAndID               `json:"sep"`
	Cls           *tokenAndID               `json:"cls"`
	Single        []templateItem            `json:"single"`
	Pair          []templateItem            `json:"pair"`
	SpecialTokens map[string]templateTokens `json:"special_tokens"`

	Cleanup *bool `json:"cleanup"`

	Normalizers   []component `json:"normalizers"`
	Pretokenizers []component `json:"pretokenizers"`
	Processors    []component `json:"processors"`
	Decoders      []component `json:"decoders"`
}

// textPattern is what a Split or a Replace looks for. One of its fields is set.
type textPattern struct {
	String *string `json:"String"`
	Regex  *string `json:"Regex"`
}

// templateItem is one piece of a template. Exactly one of its fields is set.
type templateItem struct {
	SpecialToken *templateRef `json:"SpecialToken"`
	Sequence     *templateRef `json:"Sequence"`
}

// templateRef names a special token, or the text "A" or "B".
type templateRef struct {
	ID     string `json:"id"`
	TypeID int32  `json:"type_id"`
}

// templateTokens are the ids of a special token's name, which may have several.
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

// tokenizerJSON is the content of tokenizer.json without the vocabulary and the
// merges, which are streamed.
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
		UnkID                   *int            `json:"unk_id"`
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

// modelType returns the type of the model. Older files leave it out; modelType
// then infers it from fields that only one type has, in the order of the
// reference.
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
	// The family of the model decides which tokens have a role if no file does.
	var defaults specialNames
	switch kind := f.modelType(); kind {
	case "BPE":
		defaults = robertaNames
		err = b.readBPE(&f, cfg)
	case "WordPiece":
		defaults = bertNames
		err = b.readWordPiece(&f, cfg)
	case "Unigram":
		defaults = robertaNames
		err = b.readUnigram(&f, cfg)
	default:
		err = src.unsupported("model", kind, "BPE, WordPiece and Unigram")
	}
	if err != nil {
		return nil, err
	}
	if err := b.readPostProcessor(f.PostProcessor); err != nil {
		return nil, err
	}
	b.assumeNames(defaults)
	// A BPE file that names neither token is that of a decoder.
	if _, isWordPiece := b.model.(*wordPiece); !isWordPiece && b.names.Cls == nil && b.names.Sep == nil {
		b.bare = true
	}
	return b, nil
}

// assumeNames sets roles that no file assigns to the usual tokens of the
// family, if tokenizer.json lists them as added tokens.
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

// unsupported returns the error for a component that is not supported, with
// those that are.
func (s *source) unsupported(part, kind, supported string) error {
	if kind == "" {
		kind = "none"
	}
	// A long type and one that could be misread are quoted.
	if quoted := place.Quote(kind); quoted != `"`+kind+`"` {
		kind = quoted
	}
	return s.errorf("%s %s is not supported; supported: %s", part, kind, supported)
}

// only returns the member of a Sequence of one member, an empty component if c
// is nil, and otherwise c.
func only(c *component, parts func(*component) []component) *component {
	if c == nil {
		return &component{}
	}
	if inner := parts(c); c.Type == "Sequence" && len(inner) == 1 {
		return &inner[0]
	}
	return c
}
