package tokenizer

import "unicode/utf8"

// byteRune is the printable stand-in for each byte in a byte-level vocabulary
// (GPT-2's bytes_to_unicode): printable Latin-1 stands for itself, the other
// bytes are mapped to U+0100 and following, in order. runeByte is its inverse.
var byteRune, runeByte = byteAlphabet()

func byteAlphabet() (forward [256]rune, back map[rune]byte) {
	back = make(map[rune]byte, 256)
	next := rune(0x100)
	for b := range 256 {
		r := rune(b)
		if r < '!' || r > '~' && r < 0xa1 || r == 0xad {
			r = next
			next++
		}
		forward[b] = r
		back[r] = byte(b)
	}
	return forward, back
}

// wordEnd returns the end of the word of s that starts at i < len(s), where
// words are the matches of GPT-2's pattern
//
//	's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//
// It is written by hand because RE2 has no lookahead. Every byte of a string
// belongs to a word.
func wordEnd(s string, i int) int {
	if s[i] == '\'' {
		if n := contractionLen(s[i+1:]); n > 0 {
			return i + 1 + n
		}
	}
	start := i
	if s[i] == ' ' {
		start++
	}
	if start < len(s) {
		class, size := classAt(s, start)
		if class != classSpace {
			end := start + size
			for end < len(s) {
				next, size := classAt(s, end)
				if next != class {
					break
				}
				end += size
			}
			return end
		}
	}
	return spaceEnd(s, i)
}

// spaceEnd returns the end of the run of white space at i. If text follows the
// run, its last character is not included, so that a single space can belong to
// the next word.
func spaceEnd(s string, i int) int {
	last, end := i, i
	for end < len(s) {
		class, size := classAt(s, end)
		if class != classSpace {
			break
		}
		last = end
		end += size
	}
	if end == len(s) || last == i {
		return end
	}
	return last
}

// contractionLen returns the length of the English contraction that s, the text
// after an apostrophe, starts with, or 0.
func contractionLen(s string) int {
	if s == "" {
		return 0
	}
	switch s[0] {
	case 's', 't', 'm', 'd':
		return 1
	}
	if len(s) >= 2 {
		switch s[:2] {
		case "re", "ve", "ll":
			return 2
		}
	}
	return 0
}

// classAt returns the class of the rune at s[i:] and its length in bytes.
func classAt(s string, i int) (charClass, int) {
	if c := s[i]; c < utf8.RuneSelf {
		return asciiClass[c], 1
	}
	r, size := utf8.DecodeRuneInString(s[i:])
	return classOf(r), size
}
