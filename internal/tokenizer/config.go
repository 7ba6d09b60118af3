package tokenizer

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/strictjson"
)

// config is the content of the files beside the vocabulary.
type config struct {
	DoLowerCase          *bool  `json:"do_lower_case"`
	StripAccents         *bool  `json:"strip_accents"`
	TokenizeChineseChars *bool  `json:"tokenize_chinese_chars"`
	AddPrefixSpace       *bool  `json:"add_prefix_space"`
	Class                string `json:"tokenizer_class"`
	SplitSpecialTokens   bool   `json:"split_special_tokens"`
	TruncationSide       string `json:"truncation_side"`
	AddBosToken          *bool  `json:"add_bos_token"`
	AddEosToken          *bool  `json:"add_eos_token"`
	Legacy               *bool  `json:"legacy"`

	// ChatTemplate is a template, or a list of named templates. ChatTemplate of Tokenizer reads it.
	ChatTemplate json.RawMessage `json:"chat_template"`

	// Decoder has full descriptions of added tokens by id. transformers writes
	// it since 4.34.
	AddedTokensDecoder map[string]addedToken `json:"added_tokens_decoder"`

	Names specialNames `json:"-"`
	added []addedToken // of added_tokens_decoder or added_tokens.json, by id
}

// specialNames are the tokens with a role. A token is nil if no file names it.
type specialNames struct {
	Bos   *addedToken  `json:"bos_token"`
	Eos   *addedToken  `json:"eos_token"`
	Unk   *addedToken  `json:"unk_token"`
	Sep   *addedToken  `json:"sep_token"`
	Pad   *addedToken  `json:"pad_token"`
	Cls   *addedToken  `json:"cls_token"`
	Mask  *addedToken  `json:"mask_token"`
	Extra []addedToken `json:"additional_special_tokens"`
}

// robertaNames, bertNames and mpnetNames are the tokens of plain vocabularies
// whose files name no tokens. The <mask> of RoBERTa and MPNet includes the space
// before it, as in the published checkpoints.
var (
	robertaNames = specialNames{
		Bos: special("<s>"), Eos: special("</s>"), Unk: special("<unk>"), Sep: special("</s>"),
		Pad: special("<pad>"), Cls: special("<s>"),
		Mask: &addedToken{Content: "<mask>", LStrip: true, Special: true, id: -1},
	}
	bertNames = specialNames{
		Unk: special("[UNK]"), Sep: special("[SEP]"), Pad: special("[PAD]"),
		Cls: special("[CLS]"), Mask: special("[MASK]"),
	}
	mpnetNames = specialNames{
		Bos: special("<s>"), Eos: special("</s>"), Unk: special("[UNK]"), Sep: special("</s>"),
		Pad: special("<pad>"), Cls: special("<s>"), Mask: robertaNames.Mask,
	}
)

// mpnet reports whether the files are those of MPNet's tokenizer: WordPiece whose
// special tokens are arranged as RoBERTa's are.
func (c *config) mpnet() bool { return strings.HasPrefix(c.Class, "MPNetTokenizer") }

func special(content string) *addedToken {
	return &addedToken{Content: content, Special: true, id: -1}
}

// UnmarshalJSON accepts a plain string, which is how the files write most
// special tokens, or an object. The id is that of an object of tokenizer.json,
// or -1 if there is none.
func (t *addedToken) UnmarshalJSON(data []byte) error {
	var content string
	if json.Unmarshal(data, &content) == nil {
		*t = *special(content)
		return nil
	}
	type plain addedToken // has no UnmarshalJSON
	full := struct {
		plain
		ID         *int32 `json:"id"`
		Normalized *bool  `json:"normalized"`
	}{plain: plain{id: -1}}
	if err := strictjson.Unmarshal(data, &full); err != nil {
		// err is not wrapped, because its offset counts from the start of data
		// and not of the file.
		return fmt.Errorf("token %s is neither text nor an added token's description", excerpt(data))
	}
	*t = addedToken(full.plain)
	t.normalizedStated = full.Normalized != nil
	t.Normalized = isSet(full.Normalized, !t.Special)
	if full.ID != nil {
		if t.id = *full.ID; t.id < 0 {
			return fmt.Errorf("added token %s has id %d; ids are whole numbers from 0 to %d", place.Quote(t.Content), t.id,
				maxID)
		}
	}
	return nil
}

// list returns the named tokens in the order in which new ids are assigned.
func (n *specialNames) list() []addedToken {
	var out []addedToken
	for _, t := range []*addedToken{n.Bos, n.Eos, n.Unk, n.Sep, n.Pad, n.Cls, n.Mask} {
		if t != nil {
			out = append(out, t.asSpecial())
		}
	}
	return out
}

// asSpecial returns t marked as a special token.
func (t addedToken) asSpecial() addedToken {
	t.Special = true
	t.Normalized = t.Normalized && t.normalizedStated
	return t
}

// merge sets every name of n that other has to that of other.
func (n *specialNames) merge(other specialNames) {
	for _, p := range []struct{ mine, theirs **addedToken }{
		{&n.Bos, &other.Bos}, {&n.Eos, &other.Eos}, {&n.Unk, &other.Unk}, {&n.Sep, &other.Sep},
		{&n.Pad, &other.Pad}, {&n.Cls, &other.Cls}, {&n.Mask, &other.Mask},
	} {
		if *p.theirs != nil {
			*p.mine = *p.theirs
		}
	}
	if other.Extra != nil {
		n.Extra = other.Extra
	}
}

// orDefaults returns n with missing names set to the usual tokens of the
// family. It sets optional tokens only if they are in the vocabulary, because
// another padding or mask token would get an id for which the model's embedding
// has no row.
func (n specialNames) orDefaults(defaults specialNames, v *vocab) specialNames {
	for _, t := range []**addedToken{&defaults.Bos, &defaults.Eos, &defaults.Pad, &defaults.Mask} {
		if *t != nil {
			if _, ok := v.ids[(*t).Content]; !ok {
				*t = nil
			}
		}
	}
	defaults.merge(n)
	return defaults
}

func (c *config) extra() []addedToken {
	out := slices.Clone(c.Names.Extra)
	for i := range out {
		out[i] = out[i].asSpecial()
	}
	return out
}

// readConfig reads the optional files of dir. special_tokens_map.json and
// added_tokens.json are the older form of added_tokens_decoder and are used
// only if that is missing.
func readConfig(d *folder) (*config, error) {
	c := &config{}
	src, err := d.optional(configFile)
	if err != nil {
		return nil, err
	}
	if src != nil {
		for _, part := range []any{c, &c.Names} {
			if err := src.unmarshal(part); err != nil {
				return nil, err
			}
		}
		if err := c.check(src); err != nil {
			return nil, err
		}
	}
	// The order of precedence is that of PreTrainedTokenizerBase._from_pretrained.
	if c.AddedTokensDecoder != nil {
		return c, c.useDecoder(src)
	}
	special, err := d.optional(specialMapFile)
	if err != nil {
		return nil, err
	}
	if special != nil {
		var names specialNames
		if err := special.unmarshal(&names); err != nil {
			return nil, err
		}
		c.Names.merge(names)
	}
	return c, c.readAddedTokens(d)
}

// check returns an error for settings that would change ids and that this
// package does not implement. Such settings are easy to overlook in a file and
// hard to notice in a result.
func (c *config) check(src *source) error {
	if c.SplitSpecialTokens {
		return src.errorf("split_special_tokens is true; only false is supported")
	}
	if c.TruncationSide != "" && c.TruncationSide != "right" {
		return src.errorf("truncation_side is %s; only \"right\" is supported", place.Quote(c.TruncationSide))
	}
	return nil
}

// useDecoder reads added_tokens_decoder, whose full descriptions replace plain
// names of other files.
func (c *config) useDecoder(src *source) error {
	if err := src.checkAdded(len(c.AddedTokensDecoder)); err != nil {
		return err
	}
	for key, t := range c.AddedTokensDecoder {
		id, err := strconv.ParseInt(key, 10, 32)
		if err != nil || id < 0 || id > maxID {
			return src.errorf("added_tokens_decoder has id %s; ids are whole numbers from 0 to %d", place.Quote(key), maxID)
		}
		t.id = int32(id)
		c.added = append(c.added, t)
	}
	// Tokens that are not in the vocabulary get ids in this order.
	slices.SortFunc(c.added, func(a, b addedToken) int { return int(a.id) - int(b.id) })
	return nil
}

// readAddedTokens reads added_tokens.json, an object of tokens and ids.
func (c *config) readAddedTokens(d *folder) error {
	src, err := d.optional(addedTokensFile)
	if err != nil || src == nil {
		return err
	}
	var ids map[string]int32
	if err := src.unmarshal(&ids); err != nil {
		return err
	}
	if err := src.checkAdded(len(ids)); err != nil {
		return err
	}
	// The file contains only ids; the other properties of a token follow from
	// its role.
	named := map[string]bool{}
	for _, t := range append(c.Names.list(), c.extra()...) {
		named[t.Content] = true
	}
	for content, id := range ids {
		if id < 0 || id > maxID {
			return src.errorf("token %s has id %d; ids are whole numbers from 0 to %d", place.Quote(content), id, maxID)
		}
		c.added = append(c.added, addedToken{Content: content, Normalized: !named[content], Special: named[content], id: id})
	}
	slices.SortFunc(c.added, func(a, b addedToken) int { return int(a.id) - int(b.id) })
	return nil
}
