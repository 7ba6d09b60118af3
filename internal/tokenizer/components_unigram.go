package tokenizer

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/lor2c/lor2c/internal/place"
)

// readUnigram builds the model of a tokenizer.json. It returns an error for a normalizer, a pre_tokenizer or a decoder
// that the tokenizers of XLM-RoBERTa and CamemBERT do not have.
func (b *builder) readUnigram(f *tokenizerJSON, cfg *config) error {
	src := b.source
	steps, err := b.unigramSteps(f.Normalizer)
	if err != nil {
		return err
	}
	pre := flatten(f.PreTokenizer)
	spaces := len(pre) == 2 && pre[0].Type == "WhitespaceSplit"
	if spaces {
		pre = pre[1:]
	}
	if len(pre) != 1 || pre[0].Type != "Metaspace" {
		return src.unsupported("pre_tokenizer", kinds(flatten(f.PreTokenizer)),
			"Metaspace, alone or after WhitespaceSplit, with model Unigram")
	}
	prefix, err := b.metaspace(&pre[0])
	if err != nil {
		return err
	}
	// As in transformers, add_prefix_space of tokenizer_config.json takes precedence.
	if cfg.AddPrefixSpace != nil && !*cfg.AddPrefixSpace {
		prefix = prefixNever
	}
	decoders := flatten(f.Decoder)
	if f.Model.ByteFallback && len(decoders) == 2 && decoders[0].Type == "ByteFallback" {
		decoders = decoders[1:]
	}
	if len(decoders) != 1 || decoders[0].Type != "Metaspace" {
		return src.unsupported("decoder", kinds(flatten(f.Decoder)),
			"Metaspace with model Unigram, or with byte_fallback ByteFallback and Metaspace")
	}
	v, scores, err := parseUnigram(src)
	if err != nil {
		return err
	}
	if f.Model.UnkID == nil || *f.Model.UnkID < 0 || *f.Model.UnkID >= len(scores) {
		return src.errorf("model.unk_id is missing or not an id of the vocabulary; want the id of the unknown token")
	}
	m := newUnigram(v, scores, int32(*f.Model.UnkID))
	m.steps, m.splitSpaces, m.prefix, m.splitBlanks = steps, spaces, prefix, isSet(pre[0].Split, true)
	if f.Model.ByteFallback {
		m.bytes = new(byteTokens)
		if err := m.bytes.read(v, src); err != nil {
			return err
		}
	}
	b.vocab, b.model = v, m
	return nil
}

// unigramSteps returns the steps of a normalizer.
func (b *builder) unigramSteps(c *component) (steps []textStep, err error) {
	for _, part := range flatten(c) {
		switch {
		case part.Type == "Precompiled":
			blob, err := base64.StdEncoding.DecodeString(part.Charsmap)
			if err != nil {
				return nil, b.source.errorf("precompiled_charsmap is not base64: %w", err)
			}
			if len(blob) == 0 {
				continue
			}
			m, err := parseCharsmap(blob)
			if err != nil {
				return nil, b.source.errorf("%w", err)
			}
			steps = append(steps, m.step())
		case part.Type == "Strip":
			left, right := isSet(part.StripLeft, true), isSet(part.StripRight, true)
			steps = append(steps, stripStep(left, right))
		case part.Type == "Replace" && part.Pattern != nil && part.Pattern.Regex != nil && *part.Pattern.Regex == " {2,}":
			steps = append(steps, spacesStep(part.Content))
		default:
			return nil, b.source.unsupported("normalizer", part.Type,
				"Precompiled, Strip and Replace of the Regex \" {2,}\" with model Unigram")
		}
	}
	return steps, nil
}

func (m *charsmap) step() textStep { return textStep{"precompiled " + m.blob, m.apply} }

func stripStep(left, right bool) textStep {
	name := "strip"
	if left {
		name += " left"
	}
	if right {
		name += " right"
	}
	return textStep{name, func(s string) string {
		if left {
			s = strings.TrimLeftFunc(s, isSpace)
		}
		if right {
			s = strings.TrimRightFunc(s, isSpace)
		}
		return s
	}}
}

// spacesStep replaces two or more spaces in a row.
func spacesStep(by string) textStep {
	return textStep{"spaces " + by, func(s string) string {
		var b strings.Builder
		for s != "" {
			n := strings.Index(s, "  ")
			if n < 0 {
				break
			}
			b.WriteString(s[:n])
			b.WriteString(by)
			s = strings.TrimLeft(s[n:], " ")
		}
		b.WriteString(s)
		return b.String()
	}}
}

// parseUnigram reads model.vocab of a tokenizer.json, a list of tokens with their scores in the order of the ids.
func parseUnigram(src *source) (*vocab, []float64, error) {
	dec, err := src.descend("model", "vocab")
	if err != nil {
		return nil, nil, err
	}
	if dec == nil {
		return nil, nil, src.errorf("model.vocab is missing; it must be a list of tokens and scores")
	}
	if t, err := dec.Token(); err != nil {
		return nil, nil, src.jsonError(err)
	} else if t != json.Delim('[') {
		return nil, nil, src.errorAt(dec.InputOffset()-1, "model.vocab is not an array; it must list tokens and scores")
	}
	v := &vocab{ids: map[string]int32{}}
	var scores []float64
	for dec.More() {
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, nil, src.jsonError(err)
		}
		at := dec.InputOffset() - int64(len(raw))
		var both []json.RawMessage
		var token string
		var score float64
		if json.Unmarshal(raw, &both) != nil || len(both) != 2 || json.Unmarshal(both[0], &token) != nil ||
			json.Unmarshal(both[1], &score) != nil || token == "" {
			return nil, nil, src.errorAt(at, "%s is not a token and its score; want an array of a text and a number",
				excerpt(raw))
		}
		if err := v.addScored(src, token, len(scores)); err != nil {
			return nil, nil, err
		}
		scores = append(scores, score)
	}
	if len(scores) == 0 {
		return nil, nil, src.errorf("model.vocab is empty; it must hold at least the special tokens")
	}
	return v, scores, nil
}

// addScored adds the token with the next id. It returns an error if the vocabulary has the token already, because its
// scores would then depend on how the reference stores them.
func (v *vocab) addScored(src *source, token string, id int) error {
	if id > maxID {
		return src.errorf("token %s is too many; a vocabulary has at most %d tokens", place.Quote(token), maxID+1)
	}
	if len(token) > maxPiece {
		return src.errorf("token %d, %s, has %d bytes; a token has at most %d", id, place.Quote(token), len(token), maxPiece)
	}
	if old, twice := v.ids[token]; twice {
		return src.errorf("tokens %d and %d are both %s; every token must occur once", old, id, place.Quote(token))
	}
	v.set(token, int32(id))
	return nil
}
