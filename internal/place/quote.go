package place

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxRunes is the number of runes of a value that an error line shows.
	maxRunes = 60
	// maxNames is the number of names of a list that an error line shows.
	maxNames = 20
)

// Quote returns value as an error line shows it: in double quotes, with control
// characters and bytes that are not UTF-8 escaped as in Go, and cut after 60
// runes. If the value was cut, "..." follows the closing quote. Use it for
// every value that comes from a file or a command line.
func Quote(value string) string {
	head, cut := cutRunes(value, maxRunes)
	quoted := strconv.Quote(head)
	if cut {
		return quoted + "..."
	}
	return quoted
}

// Escape returns text as a terminal may be shown it: control characters other than
// line feeds and tabs, characters that change the direction of writing, and bytes that
// are not UTF-8 are escaped as in Go. Use it for whole messages, as the last step.
func Escape(text string) string {
	odd := func(r rune) bool {
		return unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.Is(unicode.Bidi_Control, r)
	}
	if utf8.ValidString(text) && !strings.ContainsFunc(text, odd) {
		return text
	}
	var b strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		if odd(r) || r == utf8.RuneError && size == 1 {
			quoted := strconv.QuoteToASCII(text[:size])
			b.WriteString(quoted[1 : len(quoted)-1])
		} else {
			b.WriteString(text[:size])
		}
		text = text[size:]
	}
	return b.String()
}

// List joins names by commas for an error line. After 20 names it gives the
// number of the others. A name that is empty, contains spaces or control
// characters or has more than 60 runes appears as [Quote] shows it, and any
// other name without quotes.
func List[S ~string](names []S) string {
	shown := make([]string, 0, min(len(names), maxNames))
	for _, name := range names[:min(len(names), maxNames)] {
		shown = append(shown, plain(string(name)))
	}
	list := strings.Join(shown, ", ")
	if more := len(names) - len(shown); more > 0 {
		return fmt.Sprintf("%s and %d more", list, more)
	}
	return list
}

// plain returns name without quotes if it cannot be misread, and quoted
// otherwise.
func plain(name string) string {
	_, cut := cutRunes(name, maxRunes)
	odd := func(r rune) bool { return r == ',' || r == '"' || unicode.IsSpace(r) || !strconv.IsPrint(r) }
	if name == "" || cut || !utf8.ValidString(name) || strings.ContainsFunc(name, odd) {
		return Quote(name)
	}
	return name
}

// cutRunes returns the first n runes of s and reports whether s has more.
func cutRunes(s string, n int) (head string, cut bool) {
	for i := range s {
		if n == 0 {
			return s[:i], true
		}
		n--
	}
	return s, false
}

// Count returns a number with a noun, which is given in singular and plural.
func Count(n int, one, many string) string {
	if n == 1 {
		many = one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// Bytes returns a number of bytes as text: in MiB up to a GiB, and in GiB above.
func Bytes(n int64) string {
	if n < 1<<30 {
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
}
