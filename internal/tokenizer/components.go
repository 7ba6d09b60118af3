package tokenizer

import "github.com/lor2c/lor2c/internal/place"

// unkID returns the id of the unknown token. It returns an error if the
// vocabulary lacks it; the reference fails only when a text needs it.
func (b *builder) unkID(v *vocab, token string) (int32, error) {
	id, ok := v.ids[token]
	if !ok {
		return 0, b.source.errorf("unk_token %s is not in the vocabulary; add it, or name another in model.unk_token",
			place.Quote(token))
	}
	return id, nil
}

// readWordPiece builds the model of a tokenizer.json. It returns an error if
// the file does not describe BERT's WordPiece.
func (b *builder) readWordPiece(f *tokenizerJSON, cfg *config) error {
	src, m := b.source, &f.Model
	norm := only(f.Normalizer, func(c *component) []component { return c.Normalizers })
	if norm.Type != "" && norm.Type != "BertNormalizer" {
		return src.unsupported("normalizer", norm.Type, "BertNormalizer or none with model WordPiece")
	}
	pre := only(f.PreTokenizer, func(c *component) []component { return c.Pretokenizers })
	if pre.Type != "BertPreTokenizer" {
		return src.unsupported("pre_tokenizer", pre.Type, "BertPreTokenizer with model WordPiece")
	}
	v, err := parseVocabJSON(src, "model", "vocab")
	if err != nil {
		return err
	}
	// Fields that the file leaves out have the reference's defaults.
	unkToken, prefix := "[UNK]", "##"
	if m.UnkToken != nil {
		unkToken = *m.UnkToken
	}
	if m.ContinuingSubwordPrefix != nil {
		prefix = *m.ContinuingSubwordPrefix
	}
	unk, err := b.unkID(v, unkToken)
	if err != nil {
		return err
	}
	wp := newWordPiece(v, prefix, unk)
	if m.MaxInputCharsPerWord != nil {
		wp.maxRunes = max(0, *m.MaxInputCharsPerWord)
	}
	// Without a normalizer the text is not changed: the settings of
	// tokenizer_config.json adjust a normalizer but do not create one.
	if norm.Type != "" {
		lower := isSet(cfg.DoLowerCase, isSet(norm.Lowercase, true))
		// If strip_accents is not set, it follows lowercase, which may itself
		// be overridden.
		accents := norm.StripAccents
		if cfg.StripAccents != nil {
			accents = cfg.StripAccents
		}
		wp.bertNormalizer = bertNormalizer{
			cleanText:    isSet(norm.CleanText, true),
			spaceCJK:     isSet(cfg.TokenizeChineseChars, isSet(norm.HandleChineseChars, true)),
			stripAccents: isSet(accents, lower),
			lowercase:    lower,
		}
	}
	if f.Decoder != nil && f.Decoder.Type == "WordPiece" {
		wp.cleanup = isSet(f.Decoder.Cleanup, true)
	}
	b.vocab, b.model = v, wp
	return nil
}

// readPostProcessor converts the post_processor to templates. A ByteLevel
// post_processor changes offsets only and is ignored.
func (b *builder) readPostProcessor(c *component) error {
	if c != nil && c.Type == "Sequence" {
		all, rest := c.Processors, []component(nil)
		for _, p := range all {
			if p.Type != "ByteLevel" {
				rest = append(rest, p)
			}
		}
		if len(rest) > 1 {
			return b.source.unsupported("post_processor", "Sequence of "+rest[0].Type+" and "+rest[1].Type, "one of them alone")
		}
		c = nil
		switch {
		case len(rest) == 1:
			c = &rest[0]
		case len(all) > 0:
			c = &all[0]
		}
	}
	if c == nil || c.Type == "ByteLevel" {
		b.bare = b.bare || c != nil
		return nil
	}
	var single, pair template
	switch c.Type {
	case "RobertaProcessing", "BertProcessing":
		if c.Cls == nil || c.Sep == nil {
			return b.source.errorf("post_processor %s lacks cls or sep; each must be a token and its id", c.Type)
		}
		for _, t := range []*tokenAndID{c.Cls, c.Sep} {
			if err := b.checkSpecial(t.token, t.id); err != nil {
				return err
			}
		}
		if c.Type == "BertProcessing" {
			single, pair = bertTemplates(c.Cls.id, c.Sep.id)
		} else {
			single, pair = robertaTemplates(c.Cls.id, c.Sep.id)
		}
	case "TemplateProcessing":
		var err error
		if single, err = b.readTemplate("single", c.Single, c.SpecialTokens); err != nil {
			return err
		}
		if pair, err = b.readTemplate("pair", c.Pair, c.SpecialTokens); err != nil {
			return err
		}
	default:
		return b.source.unsupported("post_processor", c.Type,
			"TemplateProcessing, RobertaProcessing, BertProcessing and ByteLevel")
	}
	b.single, b.pair = &single, &pair
	return nil
}

// readTemplate converts one template. The template of a single text must
// contain text A once, and that of a pair A and B once each, because otherwise
// an example would lose or repeat text.
func (b *builder) readTemplate(
	name string, items []templateItem, specials map[string]templateTokens,
) (template, error) {
	var pieces []templatePiece
	seen := map[string]int{}
	for _, item := range items {
		switch {
		case item.Sequence != nil && (item.Sequence.ID == "A" || item.Sequence.ID == "B"):
			seen[item.Sequence.ID]++
			pieces = append(pieces, templatePiece{text: int8(item.Sequence.ID[0] - 'A'), typeID: item.Sequence.TypeID})
		case item.SpecialToken != nil:
			tokens, ok := specials[item.SpecialToken.ID]
			if !ok {
				return template{}, b.source.errorf("post_processor template %q uses %s, and its special_tokens have no such "+
					"token; list it there", name, place.Quote(item.SpecialToken.ID))
			}
			for _, id := range tokens.IDs {
				if err := b.checkSpecial(item.SpecialToken.ID, id); err != nil {
					return template{}, err
				}
			}
			pieces = append(pieces, templatePiece{specialPiece, item.SpecialToken.TypeID, tokens.IDs})
		default:
			return template{},
				b.source.errorf("post_processor template %q has a piece that is neither a SpecialToken nor Sequence A or B", name)
		}
	}
	wantB := 0
	if name == "pair" {
		wantB = 1
	}
	if seen["A"] != 1 || seen["B"] != wantB {
		return template{},
			b.source.errorf("post_processor template %q has text A %d times and B %d times; "+
				"it must have A once and B %d times", name, seen["A"], seen["B"], wantB)
	}
	return newTemplate(pieces...), nil
}

// checkSpecial returns an error if the id of a special token is not in the
// vocabulary, because every example would use that id in the model's embedding.
func (b *builder) checkSpecial(token string, id int32) error {
	if id >= 0 && int(id) < len(b.vocab.tokens) && b.vocab.tokens[id] != "" {
		return nil
	}
	for _, t := range b.added {
		if t.id == id {
			return nil
		}
	}
	return b.source.errorf("post_processor token %s has id %d, which is not in the vocabulary; use the id of a token",
		place.Quote(token), id)
}
