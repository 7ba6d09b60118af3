package tokenizer

import (
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/place"
)

// readBPE builds the model of a tokenizer.json: byte-level BPE, or, with
// byte_fallback, the BPE of SentencePiece. It returns an error for any other
// scheme.
func (b *builder) readBPE(f *tokenizerJSON, cfg *config) error {
	src, m := b.source, &f.Model
	// Each of these settings would change ids. The reference writes an empty
	// prefix or suffix and a dropout of 0 if they are not used.
	switch {
	case m.Dropout != nil && *m.Dropout != 0:
		return src.unsupported("model BPE", "with dropout", "no dropout")
	case m.ContinuingSubwordPrefix != nil && *m.ContinuingSubwordPrefix != "":
		return src.unsupported("model BPE", "with continuing_subword_prefix", "no prefix")
	case m.EndOfWordSuffix != nil && *m.EndOfWordSuffix != "":
		return src.unsupported("model BPE", "with end_of_word_suffix", "no suffix")
	}
	read := b.readByteLevel
	if m.ByteFallback {
		read = b.readPieces
	}
	// The settings are checked before the vocabulary, which is large.
	finish, err := read(f, cfg)
	if err != nil {
		return err
	}
	v, err := parseVocabJSON(src, "model", "vocab")
	if err != nil {
		return err
	}
	merges, err := parseMergesJSON(src)
	if err != nil {
		return err
	}
	b.vocab = v
	return finish(v, merges)
}

// readByteLevel checks the settings of byte-level BPE and returns the function
// that builds the model of a vocabulary and its merges.
func (b *builder) readByteLevel(f *tokenizerJSON, cfg *config) (func(*vocab, []mergePair) error, error) {
	src, m := b.source, &f.Model
	compose := false
	for _, n := range flatten(f.Normalizer) {
		if n.Type != "NFC" {
			return nil, src.unsupported("normalizer", n.Type, "NFC or none with model BPE")
		}
		compose = true
	}
	split, err := b.byteLevelSplit(f.PreTokenizer, cfg)
	if err != nil {
		return nil, err
	}
	return func(v *vocab, merges []mergePair) error {
		bpe, err := newBytePair(v, merges, src)
		if err != nil {
			return err
		}
		// Without an unk_token the reference drops bytes that are not in the
		// vocabulary.
		if m.UnkToken != nil {
			if bpe.unk, err = b.unkID(v, *m.UnkToken); err != nil {
				return err
			}
		}
		if m.IgnoreMerges {
			bpe.whole = wholeWords(v)
		}
		bpe.fuseUnk, bpe.addPrefixSpace = m.FuseUnk, split.addPrefixSpace
		bpe.compose, bpe.splitNumerals = compose, split.numerals
		bpe.pattern, bpe.wordEnd = split.pattern, wordRules[split.pattern]
		b.model = bpe
		return nil
	}, nil
}

// byteLevelSplit is how byte-level BPE splits a text into words.
type byteLevelSplit struct {
	pattern        string // a regular expression of wordRules
	numerals       bool   // each digit is a word
	addPrefixSpace bool   // the first word begins with a space
}

// byteLevelSplit reads the pre-tokenizer, which is ByteLevel after an optional Digits and an optional Split.
func (b *builder) byteLevelSplit(pre *component, cfg *config) (split byteLevelSplit, err error) {
	src := b.source
	split.pattern = gpt2Pattern
	parts := flatten(pre)
	if len(parts) == 0 || parts[len(parts)-1].Type != "ByteLevel" {
		kind := ""
		if len(parts) > 0 {
			kind = parts[len(parts)-1].Type
		}
		return split, src.unsupported("pre_tokenizer", kind, "ByteLevel with model BPE")
	}
	level := parts[len(parts)-1]
	parts = parts[:len(parts)-1]
	if len(parts) > 0 && parts[0].Type == "Digits" {
		if !parts[0].IndividualDigits {
			return split, src.unsupported("pre_tokenizer Digits", "with individual_digits false", "individual_digits true")
		}
		split.numerals, parts = true, parts[1:]
	}
	byRegex := isSet(level.UseRegex, true)
	switch {
	case len(parts) == 0 && byRegex:
	case len(parts) == 0:
		return split, src.unsupported("pre_tokenizer ByteLevel", "with use_regex false",
			"use_regex true, or a Split before it")
	case len(parts) > 1 || parts[0].Type != "Split":
		return split, src.unsupported("pre_tokenizer", parts[0].Type+" before ByteLevel",
			"Digits, Split or both before ByteLevel")
	case byRegex:
		return split, src.unsupported("pre_tokenizer ByteLevel", "with use_regex true after a Split", "use_regex false")
	default:
		if split.pattern, err = b.splitPattern(&parts[0]); err != nil {
			return split, err
		}
	}
	// A missing field means true in the reference's ByteLevel.
	split.addPrefixSpace = isSet(cfg.AddPrefixSpace, isSet(level.AddPrefixSpace, true))
	if split.addPrefixSpace && !byRegex {
		return split, src.unsupported("pre_tokenizer ByteLevel", "with add_prefix_space true after a Split",
			"add_prefix_space false")
	}
	return split, nil
}

// splitPattern returns the regular expression of a Split, which must be one of
// wordRules.
func (b *builder) splitPattern(c *component) (string, error) {
	switch {
	case c.Behavior != "Isolated" || c.Invert:
		return "", b.source.errorf("pre_tokenizer Split with behavior %s is not supported; supported: behavior Isolated, "+
			"invert false", place.Quote(c.Behavior))
	case c.Pattern == nil || c.Pattern.Regex == nil:
		return "", b.source.unsupported("pre_tokenizer Split", "without a Regex",
			"the regular expressions of GPT-2, Llama 3 and Qwen")
	}
	if pattern := *c.Pattern.Regex; wordRules[pattern] != nil {
		return pattern, nil
	}
	return "", b.source.errorf("pre_tokenizer Split has the unknown regular expression %s; supported: those of GPT-2, "+
		"Llama 3 and Qwen",
		place.Quote(*c.Pattern.Regex))
}

// readPieces checks the settings of a BPE with byte_fallback and returns the
// function that builds the model of a vocabulary and its merges.
func (b *builder) readPieces(f *tokenizerJSON, _ *config) (func(*vocab, []mergePair) error, error) {
	src, m := b.source, &f.Model
	set := piecePair{}
	norm, pre := flatten(f.Normalizer), flatten(f.PreTokenizer)
	isReplace := func(c component) bool {
		return c.Type == "Replace" && c.Pattern != nil && c.Pattern.String != nil && *c.Pattern.String == " " &&
			c.Content == blank
	}
	switch {
	case m.IgnoreMerges:
		return nil, src.unsupported("model BPE", "with byte_fallback and ignore_merges", "ignore_merges false")
	case len(norm) == 2 && norm[0].Type == "Prepend" && norm[0].Prepend == blank && isReplace(norm[1]) && len(pre) == 0:
		set.inNormalizer, set.prefix = true, prefixAlways
	case len(norm) == 1 && isReplace(norm[0]) && len(pre) == 0:
		set.inNormalizer = true
	case len(norm) == 0 && len(pre) == 1 && pre[0].Type == "Metaspace":
		var err error
		if set.prefix, err = b.metaspace(&pre[0]); err != nil {
			return nil, err
		}
		set.splitBlanks = isSet(pre[0].Split, true)
	default:
		return nil, src.errorf("normalizer %s and pre_tokenizer %s are not supported with byte_fallback; supported: "+
			"Prepend %q and Replace \" \" by %q, or Metaspace",
			place.Quote(kinds(norm)), place.Quote(kinds(pre)), blank, blank)
	}
	var err error
	if set.strip, err = b.stripsBlank(f.Decoder); err != nil {
		return nil, err
	}
	b.bare = true
	return func(v *vocab, merges []mergePair) error {
		table, err := newMergeTable(v, merges, src)
		if err != nil {
			return err
		}
		pieces, err := newPiecePair(v, table, src)
		if err != nil {
			return err
		}
		pieces.inNormalizer, pieces.prefix = set.inNormalizer, set.prefix
		pieces.splitBlanks, pieces.strip = set.splitBlanks, set.strip
		b.model = pieces
		return nil
	}, nil
}

// metaspace returns where a Metaspace puts a blank before a text.
func (b *builder) metaspace(c *component) (prefixRule, error) {
	if c.Replacement != blank {
		return 0, b.source.errorf("pre_tokenizer Metaspace with replacement %s is not supported; supported: %s",
			place.Quote(c.Replacement), blank)
	}
	// Files of before 2024 have add_prefix_space and no prepend_scheme.
	scheme := "always"
	if c.PrependScheme != nil {
		scheme = *c.PrependScheme
	} else if !isSet(c.AddPrefixSpace, true) {
		scheme = "never"
	}
	switch scheme {
	case "always":
		return prefixAlways, nil
	case "first":
		return prefixFirst, nil
	case "never":
		return prefixNever, nil
	}
	return 0, b.source.errorf("pre_tokenizer Metaspace with prepend_scheme %s is not supported; supported: always, "+
		"first and never", place.Quote(scheme))
}

// stripsBlank reports whether the decoder of a BPE with byte_fallback drops a
// space at the start of a text.
func (b *builder) stripsBlank(c *component) (bool, error) {
	parts := flatten(c)
	strip := len(parts) == 4 && parts[3].Type == "Strip" && parts[3].Content == " " && parts[3].Start == 1 &&
		parts[3].Stop == 0
	if strip {
		parts = parts[:3]
	}
	isReplace := len(parts) == 3 && parts[0].Pattern != nil && parts[0].Pattern.String != nil &&
		*parts[0].Pattern.String == blank && parts[0].Content == " "
	if !isReplace || kinds(parts) != "Replace, ByteFallback, Fuse" {
		return false, b.source.unsupported("decoder", kinds(flatten(c)),
			"Replace, ByteFallback, Fuse and Strip with byte_fallback")
	}
	return strip, nil
}

// flatten returns the members of a Sequence, those of Sequences in it included,
// or c alone. It returns nil if c is nil.
func flatten(c *component) (parts []component) {
	if c == nil {
		return nil
	}
	if c.Type != "Sequence" {
		return []component{*c}
	}
	for _, list := range [][]component{c.Normalizers, c.Pretokenizers, c.Decoders} {
		for i := range list {
			parts = append(parts, flatten(&list[i])...)
		}
	}
	return parts
}

// kinds returns the types of parts, separated by commas.
func kinds(parts []component) string {
	names := slices.Collect(func(yield func(string) bool) {
		for _, p := range parts {
			if !yield(p.Type) {
				return
			}
		}
	})
	return strings.Join(names, ", ")
}
