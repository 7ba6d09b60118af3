package tokenizer

import (
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// bertNormalizer prepares text as BERT's basic tokenizer does (google-research/bert,
// tokenization.py), with the options of Hugging Face's version. The steps run
// in the order of the fields.
type bertNormalizer struct {
	cleanText    bool // drop control characters, make all white space a space
	spaceCJK     bool // put spaces around Chinese characters
	stripAccents bool // decompose (NFD) and drop non-spacing marks
	lowercase    bool
}

func (n bertNormalizer) normalize(text string) string {
	if isASCII(text) {
		return n.normalizeASCII(text)
	}
	var b strings.Builder
	b.Grow(len(text) + len(text)/4)
	for _, r := range text {
		if n.cleanText {
			if dropped.has(r) {
				continue
			}
			if isSpace(r) {
				r = ' '
			}
		}
		if n.spaceCJK && isChinese(r) {
			b.WriteByte(' ')
			b.WriteRune(r)
			b.WriteByte(' ')
			continue
		}
		b.WriteRune(r)
	}
	text = b.String()
	if n.stripAccents {
		text = stripAccents(text)
	}
	if n.lowercase {
		text = toLower(text)
	}
	return text
}

// normalizeASCII does what normalize does, for ASCII text, which needs no
// decomposition.
func (n bertNormalizer) normalizeASCII(text string) string {
	out := make([]byte, 0, len(text))
	for i := range len(text) {
		c := text[i]
		if n.cleanText && (c < ' ' || c == 0x7f) {
			if c != '\t' && c != '\n' && c != '\r' {
				continue
			}
			c = ' '
		}
		if n.lowercase && 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		out = append(out, c)
	}
	return string(out)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// isChinese reports whether r is in one of the ideograph blocks of BERT's
// reference code. In Hugging Face's version the fifth extension block starts at
// 2B920, not at 2B820.
func isChinese(r rune) bool {
	return r >= 0x4e00 && r <= 0x9fff || r >= 0x3400 && r <= 0x4dbf ||
		r >= 0x20000 && r <= 0x2a6df || r >= 0x2a700 && r <= 0x2b81f ||
		r >= 0x2b920 && r <= 0x2ceaf || r >= 0xf900 && r <= 0xfaff ||
		r >= 0x2f800 && r <= 0x2fa1f
}

func isPunctuation(r rune) bool { return punctuation.has(r) }

// stripAccents decomposes text canonically and drops non-spacing marks. It
// decomposes rune by rune and sorts the marks itself, because norm.NFD inserts
// a joiner into a run of more than 30 marks (the Stream-Safe Text Format), and
// because its Unicode version is newer than the reference's.
func stripAccents(text string) string {
	runes := decompose(text)
	sortMarks(runes)
	runes = slices.DeleteFunc(runes, accents.has)
	return string(runes)
}

// sortMarks puts each run of combining marks into canonical order (Unicode
// Standard, section 3.11): a stable sort by combining class.
func sortMarks(runes []rune) {
	for i := 0; i < len(runes); {
		end := i
		for end < len(runes) && combiningClass(runes[end]) != 0 {
			end++
		}
		if end-i > 1 {
			slices.SortStableFunc(runes[i:end], func(a, b rune) int {
				return int(combiningClass(a)) - int(combiningClass(b))
			})
		}
		i = end + 1
	}
}

func combiningClass(r rune) uint8 {
	if !combining.has(r) {
		return 0
	}
	return norm.NFD.PropertiesString(string(r)).CCC()
}

// toLower maps every rune without regard to its neighbours, so that a final
// sigma is treated like any sigma.
func toLower(text string) string {
	var b strings.Builder
	b.Grow(len(text))
	for _, r := range text {
		if r == 'İ' { // the only rune whose lower case is two runes
			b.WriteString("i\u0307")
			continue
		}
		b.WriteRune(lowerRune(r))
	}
	return b.String()
}
