package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// wordPiece is a WordPiece model with BERT's normalizer in front of it.
type wordPiece struct {
	bertNormalizer
	first    map[string]int32 // all tokens; a word starts with one of them
	rest     map[string]int32 // continuation tokens without their prefix
	longest  int              // bytes in the longest token
	unk      int32
	maxRunes int    // a longer word is unk
	prefix   string // marks a continuation token, normally "##"
	cleanup  bool   // whether decode tightens punctuation
}

// appendIDs splits text at white space and around punctuation, then matches
// every word greedily.
func (m *wordPiece) appendIDs(dst []int32, text string, _ bool) []int32 {
	start := 0
	for i, r := range text {
		space := isSpace(r)
		if !space && !isPunctuation(r) {
			continue
		}
		if start < i {
			dst = m.appendWord(dst, text[start:i])
		}
		start = i + utf8.RuneLen(r)
		if !space {
			dst = m.appendWord(dst, text[i:start])
		}
	}
	if start < len(text) {
		dst = m.appendWord(dst, text[start:])
	}
	return dst
}

// appendWord repeatedly takes the longest token that the rest of the word
// starts with. A word that cannot be divided completely becomes one unk.
func (m *wordPiece) appendWord(dst []int32, word string) []int32 {
	// A word has at most as many runes as bytes, so nearly all words need no
	// counting.
	if len(word) > m.maxRunes && utf8.RuneCountInString(word) > m.maxRunes {
		return append(dst, m.unk)
	}
	undo := len(dst)
	table := m.first
	for start := 0; start < len(word); {
		end := min(len(word), start+m.longest)
		id, ok := table[word[start:end]]
		for !ok {
			// A division inside a rune cannot match, because tokens are valid
			// UTF-8.
			_, size := utf8.DecodeLastRuneInString(word[start:end])
			if end -= size; end <= start {
				return append(dst[:undo], m.unk)
			}
			id, ok = table[word[start:end]]
		}
		dst = append(dst, id)
		start = end
		table = m.rest
	}
	return dst
}

// decode joins words with spaces and continuation tokens without spaces.
func (m *wordPiece) decode(tokens []string) string {
	var b strings.Builder
	for i, token := range tokens {
		if i > 0 {
			if tail, ok := strings.CutPrefix(token, m.prefix); ok {
				token = tail
			} else {
				token = " " + token
			}
		}
		if m.cleanup {
			for _, c := range cleanups {
				token = strings.ReplaceAll(token, c.from, c.to)
			}
		}
		b.WriteString(token)
	}
	return b.String()
}

// cleanups are the replacements of Hugging Face's WordPiece decoder. It applies
// them in this order to each token together with the space before it.
var cleanups = []struct{ from, to string }{
	{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"}, {" n't", "n't"},
	{" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
}
