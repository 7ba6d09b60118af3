package tokenizer

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// Kind says what a token of a [Vocabulary] is.
type Kind uint8

// The kinds of tokens.
const (
	KindText    Kind = iota // a piece of text that the model finds in words
	KindUnknown             // stands for what the vocabulary lacks
	KindControl             // a special token
	KindAdded               // matched as a whole before text is split into words, and no special token
	KindByte                // one byte of a character that the vocabulary lacks, spelled <0x0A>
	KindUnused              // an id without a token
)

// Split names the regular expression with which byte-level BPE divides text into words.
type Split string

// The regular expressions of wordRules.
const (
	SplitGPT2   Split = "GPT-2"
	SplitLLaMA3 Split = "Llama 3"
	SplitQwen2  Split = "Qwen2"
)

// Vocabulary is the tokenizer of a decoder as data, for programs that encode text themselves.
type Vocabulary struct {
	Tokens  []string // by id, spelled as in the vocabulary; added tokens are plain text
	Kinds   []Kind
	Unknown int32 // id of the token of KindUnknown; -1 for none
	// Scores is nil for byte-level BPE. Otherwise SentencePiece's algorithm, which merges the pair of pieces whose result
	// has the highest score, encodes with these scores as the tokenizer does.
	Scores []float32
	// Blank says that a space is put in front of a text, by SentencePiece or by byte-level BPE.
	Blank bool

	// The rest is for byte-level BPE. Merges has pairs with a space between, in the order in which they are made.
	Merges   []string
	Split    Split
	Numerals bool // each digit is a word
	Whole    bool // a word that is a token is not divided
	Composed bool // text is normalized to NFC
}

// Vocabulary returns the tokenizer as data. It returns an error if the tokenizer is not one of decoders, or if no
// scores make the merges of a SentencePiece vocabulary that was read from tokenizer.json.
func (t *Tokenizer) Vocabulary() (*Vocabulary, error) {
	v := &Vocabulary{Tokens: t.tokens, Kinds: make([]Kind, len(t.tokens)), Unknown: t.roles.unk}
	for id, token := range t.tokens {
		if token == "" {
			v.Kinds[id] = KindUnused
		}
	}
	switch m := t.model.(type) {
	case *bytePair:
		v.Merges, v.Blank = mergeLines(m.merges, t.tokens), m.addPrefixSpace
		v.Split, v.Numerals, v.Whole, v.Composed = splits[m.pattern], m.splitNumerals, m.whole != nil, m.compose
	case *piecePair:
		v.Blank = m.prefix != prefixNever
		for _, id := range m.bytes {
			v.Kinds[id] = KindByte
		}
	default:
		return nil, fmt.Errorf("tokenizer: it is neither byte-level BPE nor the BPE of SentencePiece, which decoders have")
	}
	for _, s := range []splitter{t.plain.literal, t.plain.normalized} {
		for _, p := range s.patterns {
			v.Kinds[p.id] = KindAdded
		}
	}
	for id := range t.roles.special {
		v.Kinds[id] = KindControl
	}
	if v.Unknown >= 0 {
		v.Kinds[v.Unknown] = KindUnknown
	}
	if m, ok := t.model.(*piecePair); ok {
		return v, v.score(t, m.merges)
	}
	return v, nil
}

// score sets the scores: those of tokenizer.model, or else falling numbers in the order of the merges.
func (v *Vocabulary) score(t *Tokenizer, merges mergeTable) error {
	v.Scores = make([]float32, len(v.Tokens))
	if raw, ok := t.files[sentencePieceFile]; ok {
		p, err := parseSentencePiece(&source{data: raw})
		if err != nil {
			return err
		}
		for id, piece := range p.pieces {
			v.Scores[id] = piece.score
		}
		return nil
	}
	// The reference's converter lists the merges of one result together, in order of its score.
	type span struct{ first, last, id int32 }
	spans := map[int32]span{}
	for _, to := range merges {
		s, ok := spans[to.id]
		if !ok {
			s = span{to.rank, to.rank, to.id}
		}
		spans[to.id] = span{min(s.first, to.rank), max(s.last, to.rank), to.id}
	}
	order := slices.SortedFunc(maps.Values(spans), func(a, b span) int { return cmp.Compare(a.first, b.first) })
	for i, s := range order {
		if i > 0 && s.first <= order[i-1].last {
			return v.unscored(s.id)
		}
		v.Scores[s.id] = -float32(i)
	}
	ids := t.roles.ids
	for id, token := range v.Tokens {
		if v.Kinds[id] != KindText {
			continue
		}
		for cut := range token {
			left, okLeft := ids[token[:cut]]
			right, okRight := ids[token[cut:]]
			if !okLeft || !okRight || v.Kinds[left] != KindText || v.Kinds[right] != KindText {
				continue
			}
			if _, ok := merges[pair{left, right}]; !ok {
				return v.unscored(int32(id))
			}
		}
	}
	return nil
}

func (v *Vocabulary) unscored(id int32) error {
	return fmt.Errorf("tokenizer: the merges of tokenizer.json are not those of a SentencePiece model, because of the "+
		"token %q; the tokenizer needs the %s that it was converted from, without tokenizer.json", v.Tokens[id],
		sentencePieceFile)
}

// splits has the names of the keys of wordRules.
var splits = map[string]Split{gpt2Pattern: SplitGPT2, llama3Pattern: SplitLLaMA3, qwen2Pattern: SplitQwen2}

// mergeLines returns the merges in the order of their ranks.
func mergeLines(table mergeTable, tokens []string) []string {
	var lines []string
	for _, m := range sortedMerges(table) {
		lines = append(lines, tokens[m[1]]+" "+tokens[m[2]])
	}
	return lines
}
