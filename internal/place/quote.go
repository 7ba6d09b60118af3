package place

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxRunes is how much of a value an error line shows.
	maxRunes = 60
	// maxNames is how many names of a list an error line shows.
	maxNames = 20
)

// Quote shows a value that comes from a file or from a command line inside an
// error line: in double quotes, with control characters and bytes that are not
// UTF-8 escaped as in Go, and cut after 60 runes. "..." after the closing quote
// says that the value goes on.
func Quote(value string) string {
	head, cut := cutRunes(value, maxRunes)
	quoted := strconv.Quote(head)
	if cut {
		return quoted + "..."
	}
	return quoted
}

// List joins names by commas for an error line. After 20 of them it says how
// many more there are. A name that is empty, holds spaces or control characters
// or has more than 60 runes appears as [Quote] shows it, any other as it is.
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

// plain leaves a name without quotes where the name cannot be misread.
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
