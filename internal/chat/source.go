package chat

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/lor2c/lor2c/internal/place"
)

// These bound the source of a template, so that one rendering cannot make a
// text that is very much longer than its parts.
const (
	maxSource = 256 << 10 // bytes; the longest published templates have 20 KiB
	maxCode   = 32 << 10  // bytes between one pair of delimiters
	maxJoins  = 100       // operators + and ~ between one pair of delimiters
	maxInside = 50        // brackets inside one another, and statements too
)

// part is a piece of a template's source.
type part struct {
	code   bool // whether it is between {{ and }} or {% and %}
	start  int  // in bytes from the start of the source
	source string
}

// These are a raw tag, as gonja recognises it, and what gonja takes for its end.
var (
	rawTag = regexp.MustCompile(`^\{%[-+]?[ \t]*raw[ \t]*[-+]?%\}$`)
	rawEnd = regexp.MustCompile(`\{%[-+]?\s*endraw`)
)

// divide returns the parts of a template's source. Together they are the source.
func divide(source string) (parts []part) {
	text, at := 0, 0
	for at+1 < len(source) {
		closing, isOpening := map[string]string{"{{": "}}", "{%": "%}", "{#": "#}"}[source[at:at+2]]
		if !isOpening {
			at++
			continue
		}
		end := delimiterEnd(source, at+2, closing)
		if closing == "#}" {
			at = end
			continue
		}
		code := source[at:end]
		parts = append(parts, part{false, text, source[text:at]}, part{true, at, code})
		text, at = end, end
		if tag, _ := firstWord(code); closing == "%}" && tag == "raw" {
			if end := rawEnd.FindStringIndex(source[at:]); end != nil {
				at += end[0]
			}
		}
	}
	return append(parts, part{false, text, source[text:]})
}

// delimiterEnd returns the place after closing, which is looked for from i on,
// outside strings.
func delimiterEnd(source string, i int, closing string) int {
	for i < len(source) {
		switch c := source[i]; {
		case closing != "#}" && (c == '\'' || c == '"'):
			i = stringEnd(source, i)
		case strings.HasPrefix(source[i:], closing):
			return i + len(closing)
		default:
			i++
		}
	}
	return len(source)
}

// stringEnd returns the place after the string that starts at i.
func stringEnd(source string, i int) int {
	quote := source[i]
	for i++; i < len(source); i++ {
		switch source[i] {
		case '\\':
			i++
		case quote:
			return i + 1
		}
	}
	return len(source)
}

// endsElsewhere reports whether gonja reads the string that starts at i, and
// ends before end, to another end: for gonja a quote after a backslash never
// ends a string, even if another backslash precedes.
func endsElsewhere(source string, i, end int) bool {
	return end-i >= 2 && source[end-2] == '\\' && source[end-1] == source[i]
}

// firstWord returns the name at the start of what is between delimiters, and
// the rest.
func firstWord(code string) (word, rest string) {
	inner := strings.TrimLeft(code[2:], "-+ \t\r\n")
	end := 0
	for end < len(inner) && isNameByte(inner[end]) {
		end++
	}
	return inner[:end], inner[end:]
}

func isNameByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// checkSource returns an error for a template whose rendering could need much
// more memory than its input: multiplication repeats text, and a long chain of
// joins repeats it as well. It also returns one for what gonja 2.9.1 divides
// into tokens otherwise than Jinja; a number with a dot before a character of
// several bytes even makes it loop without end.
func checkSource(source string) error {
	if len(source) > maxSource {
		return fmt.Errorf("it has %d bytes; at most %d are allowed", len(source), maxSource)
	}
	statements := 0
	for _, p := range divide(source) {
		if !p.code {
			continue
		}
		if len(p.source) > maxCode {
			return fmt.Errorf("line %s: an expression or statement of %d bytes; at most %d are allowed",
				place.At([]byte(source), p.start), len(p.source), maxCode)
		}
		tag, rest := firstWord(p.source)
		if tag == "raw" && !rawTag.MatchString(p.source) {
			return fmt.Errorf("line %s: this raw tag is not supported; write {%% raw %%}", place.At([]byte(source), p.start))
		}
		switch {
		case strings.HasPrefix(tag, "end"):
			statements--
		case tag == "if", tag == "for", tag == "macro", tag == "call", tag == "with", tag == "generation", tag == "set" &&
			!strings.Contains(rest, "="):
			statements++
		}
		joins, brackets := 0, 0
		for i := 2; i < len(p.source); i++ {
			switch c := p.source[i]; {
			case c == '\'' || c == '"':
				end := stringEnd(p.source, i)
				if endsElsewhere(p.source, i, end) {
					return fmt.Errorf("line %s: a string that ends in a backslash is not supported",
						place.At([]byte(source), p.start+i))
				}
				i = end - 1
			case c >= utf8.RuneSelf || c < ' ' && c != '\t' && c != '\n' && c != '\r':
				r, _ := utf8.DecodeRuneInString(p.source[i:])
				return fmt.Errorf("line %s: the character %U outside a string is not supported",
					place.At([]byte(source), p.start+i), r)
			case c == '*' && tag != "macro":
				return fmt.Errorf("line %s: operator * is not supported; write the text out", place.At([]byte(source), p.start))
			case c == '+' || c == '~':
				joins++
			case c == '(' || c == '[' || c == '{':
				brackets++
			case c == ')' || c == ']' || c == '}':
				brackets--
			}
			if max(brackets, statements) > maxInside {
				return fmt.Errorf("line %s: brackets or statements are nested more than %d deep", place.At([]byte(source), p.start),
					maxInside)
			}
		}
		if joins > maxJoins {
			return fmt.Errorf("line %s: %d operators + and ~ in one place; at most %d are allowed",
				place.At([]byte(source), p.start), joins, maxJoins)
		}
	}
	return nil
}
