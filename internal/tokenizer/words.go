package tokenizer

import "unicode/utf8"

// wordPattern returns the end of the word of s that starts at i < len(s). Every
// byte of a string belongs to a word.
type wordPattern func(s string, i int) int

// wordRules are the patterns that byte-level tokenizers split text with, by
// the regular expression in tokenizer.json. They are written by hand because
// RE2 has no lookahead and a backtracking engine is slower than all the rest of
// encoding together.
var wordRules = map[string]wordPattern{
	gpt2Pattern: wordEnd, llama3Pattern: llamaWordEnd, qwen2Pattern: qwenWordEnd,
}

const (
	gpt2Pattern = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
	// lineWordEnd says what the two parts that stand around the rule for numbers find.
	linePatternStart = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|`
	linePatternEnd   = `| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	llama3Pattern    = linePatternStart + `\p{N}{1,3}` + linePatternEnd
	qwen2Pattern     = linePatternStart + `\p{N}` + linePatternEnd
)

// llamaWordEnd is the pattern of Llama 3, with numbers of up to three digits.
func llamaWordEnd(s string, i int) int { return lineWordEnd(s, i, 3) }

// qwenWordEnd is the pattern of Qwen2 to Qwen3, with numbers of one digit.
func qwenWordEnd(s string, i int) int { return lineWordEnd(s, i, 1) }

// lineWordEnd returns the end of the word at i, where words are the matches of
// this pattern, written in two lines:
//
//	(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,digits}|
//	 ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
func lineWordEnd(s string, i, digits int) int {
	if s[i] == '\'' {
		if n := foldedContractionLen(s[i+1:]); n > 0 {
			return i + 1 + n
		}
	}
	class, size := classAt(s, i)
	next := i + size
	switch {
	case class == classLetter:
		return runEnd(s, next, classLetter)
	case class == classNumber:
		for ; digits > 1 && next < len(s); digits-- {
			class, size := classAt(s, next)
			if class != classNumber {
				break
			}
			next += size
		}
		return next
	}
	if next < len(s) && s[i] != '\r' && s[i] != '\n' {
		if class, size := classAt(s, next); class == classLetter {
			return runEnd(s, next+size, classLetter)
		}
	}
	if class == classOther {
		return lineEnd(s, runEnd(s, next, classOther))
	}
	if s[i] == ' ' && next < len(s) {
		if class, size := classAt(s, next); class == classOther {
			return lineEnd(s, runEnd(s, next+size, classOther))
		}
	}
	if end := lastLineEnd(s, i); end > i {
		return end
	}
	return spaceEnd(s, i)
}

// runEnd returns the end of the run of characters of one class at i.
func runEnd(s string, i int, class charClass) int {
	for i < len(s) {
		next, size := classAt(s, i)
		if next != class {
			break
		}
		i += size
	}
	return i
}

// lineEnd returns the end of the run of line feeds and carriage returns at i.
func lineEnd(s string, i int) int {
	for i < len(s) && (s[i] == '\n' || s[i] == '\r') {
		i++
	}
	return i
}

// lastLineEnd returns the place after the last line feed or carriage return in
// the run of white space at i, or i if there is none.
func lastLineEnd(s string, i int) int {
	end := i
	for i < len(s) {
		class, size := classAt(s, i)
		if class != classSpace {
			break
		}
		if s[i] == '\n' || s[i] == '\r' {
			end = i + 1
		}
		i += size
	}
	return end
}

// foldedContractionLen does what contractionLen does, in any case. Case folding
// maps the long s, U+017F, to s.
func foldedContractionLen(s string) int {
	if s == "" {
		return 0
	}
	switch s[0] | 0x20 {
	case 's', 't', 'm', 'd':
		return 1
	case 'r', 'v':
		if len(s) > 1 && s[1]|0x20 == 'e' {
			return 2
		}
	case 'l':
		if len(s) > 1 && s[1]|0x20 == 'l' {
			return 2
		}
	}
	if r, size := utf8.DecodeRuneInString(s); r == 'ſ' {
		return size
	}
	return 0
}

// splitNumerals calls visit for the parts of s of which each is one numeral or
// a run of other characters, as the reference's Digits does with
// individual_digits. Its numerals are not those of the word patterns.
func splitNumerals(s string, visit func(part string)) {
	start := 0
	for i, r := range s {
		if !isNumeral(r) {
			continue
		}
		if start < i {
			visit(s[start:i])
		}
		start = i + utf8.RuneLen(r)
		visit(s[i:start])
	}
	if start < len(s) {
		visit(s[start:])
	}
}

func isNumeral(r rune) bool {
	if r < utf8.RuneSelf {
		return '0' <= r && r <= '9'
	}
	return numerals.has(r)
}
