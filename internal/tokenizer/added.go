package tokenizer

import (
	"sort"
	"strings"
	"unicode/utf8"
)

// addedToken is a token that is matched as a whole before the text is split
// into words: a special token, or a token that was added to the vocabulary
// after training.
type addedToken struct {
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"` // matches only between non-word characters
	LStrip     bool   `json:"lstrip"`      // takes the white space on its left with it
	RStrip     bool   `json:"rstrip"`      // takes the white space on its right with it
	Normalized bool   `json:"normalized"`  // is matched in normalized text
	Special    bool   `json:"special"`
	id         int32
	// normalizedStated is true if the file has the field normalized. If it does
	// not, special tokens are matched literally and others in normalized text.
	normalizedStated bool
}

// addedTokens is the added tokens, divided by the text that they are matched
// in.
type addedTokens struct {
	literal    splitter
	normalized splitter
}

// splitter finds tokens in text. It prefers the leftmost match, and the longest
// of those.
type splitter struct {
	patterns []pattern // longest first
	firsts   string    // first bytes of the patterns
}

type pattern struct {
	text string
	addedToken
}

// newSplitter returns a splitter for patterns. It sorts them by length, so that
// the first match is the longest. Vocabularies add only a few tokens, for which
// a list is faster than a trie.
func newSplitter(patterns []pattern) splitter {
	sort.SliceStable(patterns, func(i, j int) bool {
		return len(patterns[i].text) > len(patterns[j].text)
	})
	var firsts [256]bool
	for _, p := range patterns {
		firsts[p.text[0]] = true
	}
	s := splitter{patterns: patterns}
	var b strings.Builder
	for c, present := range firsts {
		if present {
			b.WriteByte(byte(c))
		}
	}
	s.firsts = b.String()
	return s
}

// split calls visit for every piece of text in order, with the id of a token,
// or with -1 for text between tokens.
func (s *splitter) split(text string, visit func(piece string, id int32)) {
	done := 0
	for at := s.next(text, 0); at < len(text); {
		p := s.match(text[at:])
		if p == nil {
			at = s.next(text, at+1)
			continue
		}
		start, stop := at, at+len(p.text)
		// The search continues after the token itself, whether or not the match
		// is used.
		at = s.next(text, stop)
		if p.SingleWord && !isolated(text, start, stop) {
			continue
		}
		if p.LStrip {
			start = max(done, len(strings.TrimRightFunc(text[:start], isSpace)))
		}
		if p.RStrip {
			stop = len(text) - len(strings.TrimLeftFunc(text[stop:], isSpace))
		}
		if done < start {
			visit(text[done:start], -1)
		}
		visit("", p.id)
		done = stop
	}
	if done < len(text) {
		visit(text[done:], -1)
	}
}

// next returns the first place at or after from where a token might start.
func (s *splitter) next(text string, from int) int {
	if s.firsts == "" {
		return len(text)
	}
	for i := from; i < len(text); i++ {
		if strings.IndexByte(s.firsts, text[i]) >= 0 {
			return i
		}
	}
	return len(text)
}

// match returns the longest token that text starts with.
func (s *splitter) match(text string) *pattern {
	for i := range s.patterns {
		if strings.HasPrefix(text, s.patterns[i].text) {
			return &s.patterns[i]
		}
	}
	return nil
}

// isolated reports whether no word character touches text[start:stop].
func isolated(text string, start, stop int) bool {
	before, size := utf8.DecodeLastRuneInString(text[:start])
	if size > 0 && isWordRune(before) {
		return false
	}
	after, size := utf8.DecodeRuneInString(text[stop:])
	return size == 0 || !isWordRune(after)
}
