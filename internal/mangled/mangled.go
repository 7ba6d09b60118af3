// Package mangled finds the traces that a program leaves in a text that it decodes wrongly or does not decode at all:
// UTF-8 read as Latin-1 or Windows-1252, characters in place of undecodable bytes, and HTML.
package mangled

import (
	"html"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// Trace is the first trace of one kind in a text.
type Trace struct {
	Found string // the damaged characters, as the text has them
	Meant string // what they stood for, or "" if that is not known
	at    int    // position of Found in the text, in bytes
	text  string
}

// context is the number of runes of a text that Excerpt shows on either side of a trace.
const context = 12

// Excerpt returns the trace with some of the text around it, on one line.
func (t Trace) Excerpt() string {
	before, after := []rune(t.text[:t.at]), []rune(t.text[t.at+len(t.Found):])
	before = before[max(0, len(before)-context):]
	after = after[:min(len(after), context)]
	return strings.Join(strings.Fields(string(before)+t.Found+string(after)), " ")
}

// Undecoded finds U+FFFD, which decoders write in place of bytes that they cannot decode, and the three characters
// that it becomes if its bytes are then read as Windows-1252.
func Undecoded(text string) (Trace, bool) {
	for _, mark := range []string{"\ufffd", "\u00ef\u00bf\u00bd"} {
		if at := strings.Index(text, mark); at >= 0 {
			return Trace{Found: mark, at: at, text: text}, true
		}
	}
	return Trace{}, false
}

// Misread finds characters whose bytes in Windows-1252 or Latin-1 are the UTF-8 of another character, as in "cafÃ©",
// and control characters that are the bytes of Windows-1252 read as Latin-1. Sequences that occur in correct text too,
// such as the letter à before a no-break space and », are not found unless several stand in a row.
func Misread(text string) (Trace, bool) {
	for at := 0; at < len(text); {
		if text[at] < utf8.RuneSelf {
			at++
			continue
		}
		// No other character is the first byte of UTF-8, or a control character of Latin-1.
		r, size := utf8.DecodeRuneInString(text[at:])
		if r > 0xf4 || r >= 0xa0 && r < 0xc2 {
			at += size
			continue
		}
		found, meant, telling := run(text[at:])
		if telling && !strings.ContainsRune(meant, utf8.RuneError) {
			return Trace{Found: found, Meant: meant, at: at, text: text}, true
		}
		at += max(size, len(found))
	}
	return Trace{}, false
}

// Repair returns text with the characters that Misread finds replaced by those that they stood for.
func Repair(text string) string {
	var b strings.Builder
	for {
		t, found := Misread(text)
		if !found {
			return b.String() + text
		}
		b.WriteString(text[:t.at] + t.Meant)
		text = text[t.at+len(t.Found):]
	}
}

// run returns the longest start of text that is UTF-8 read with another encoding, and what it stood for. It is telling
// if correct text is very unlikely to have it.
func run(text string) (found, meant string, telling bool) {
	var b strings.Builder
	size, sequences := 0, 0
	for {
		r, n, ok := sequence(text[size:])
		if !ok {
			break
		}
		sequences++
		telling = telling || sequences > 1 || alone(r, text[size:], text[size+n:])
		b.WriteRune(r)
		size += n
	}
	return text[:size], b.String(), telling
}

// sequence returns the character whose bytes the first runes of text are, and the length of these runes.
func sequence(text string) (rune, int, bool) {
	var bytes [utf8.UTFMax]byte
	size := 0
	for i := range bytes {
		r, n := utf8.DecodeRuneInString(text[size:])
		c, ok := single(r)
		if !ok || c < utf8.RuneSelf {
			return 0, 0, false
		}
		size += n
		bytes[i] = c
		if i == 0 && c < 0xa0 && c == byte(r) && r != '\u0085' {
			return charmap.Windows1252.DecodeByte(c), size, true
		}
		if got, length := utf8.DecodeRune(bytes[:i+1]); length == i+1 && length > 1 {
			return got, size, true
		}
	}
	return 0, 0, false
}

// single returns the byte that a character is in Windows-1252, or in Latin-1 if Windows-1252 does not have it.
func single(r rune) (byte, bool) {
	if c, ok := charmap.Windows1252.EncodeRune(r); ok {
		return c, true
	}
	return byte(r), r < 0x100
}

// closers are the characters, of those that are one byte above 0x7f, that can follow the last letter of a word.
const closers = "\u2018\u2019\u201c\u201d\u2013\u2014\u2026\u203a\u00ab\u00bb"

// alone reports whether a single sequence for r, between text and rest, is a trace. These are the characters that
// European texts have most: letters with accents, punctuation, signs and emoji. If the second character of the sequence
// can follow a word, as in the Portuguese IRMÃ”, a letter has to follow.
func alone(r rune, text, rest string) bool {
	first, size := utf8.DecodeRuneInString(text)
	second, _ := utf8.DecodeRuneInString(text[size:])
	next, _ := utf8.DecodeRuneInString(rest)
	switch {
	case r > 0xffff, r >= 0x2000 && r < 0x2200, r == '\ufeff', first >= 0x80 && first < 0xa0:
		return true
	case r >= 0x220, first == 'È' && r < 0x218, first == 'Ã' && second == '\u00a0':
		return false
	}
	return !strings.ContainsRune(closers, second) || unicode.IsLetter(next)
}

// markup is a character reference or the tag of a line break.
var markup = regexp.MustCompile(`^(?:&(#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});|<[bB][rR] ?/?>)`)

// HTML finds a character reference of HTML, such as &amp; or &#39;, or the tag of a line break. It finds nothing in a
// text with a closing tag or a block of code, which is meant to have them.
func HTML(text string) (Trace, bool) {
	if !strings.ContainsAny(text, "&<") || strings.Contains(text, "</") || strings.Contains(text, "```") {
		return Trace{}, false
	}
	for from := 0; ; {
		i := strings.IndexAny(text[from:], "&<")
		if i < 0 {
			return Trace{}, false
		}
		at := from + i
		from = at + 1
		found := markup.FindString(text[at:min(len(text), at+34)])
		if found == "" {
			continue
		}
		meant := html.UnescapeString(found)
		if found[0] == '<' {
			meant = "\n"
		}
		if meant != found && (found[0] == '<' || found[1] == '#' || escaped(meant)) {
			return Trace{Found: found, Meant: meant, at: at, text: text}, true
		}
	}
}

// escaped reports whether programs write a character as a name of HTML. The other names, such as those of mathematical
// signs, are more often variables of C whose address is taken.
func escaped(meant string) bool {
	r, _ := utf8.DecodeRuneInString(meant)
	return strings.ContainsRune(`&<>"'€™`, r) || r >= 0xa0 && r <= 0xff || r >= 0x2010 && r <= 0x2044
}
