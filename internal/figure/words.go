package figure

import (
	"fmt"
	"strconv"
	"strings"
)

// Source describes where the numbers of a figure come from. The caption of the
// figure contains all of it.
type Source struct {
	Model string
	Task  string // its name in the caption; "" if the data has its own
	Runs  int
	Seeds []uint64
	Note  string // further sentences, for example that the run was a small one
}

func (s Source) String() string {
	text := s.Model
	if s.Task != "" {
		text += ", " + s.Task
	}
	seeds := make([]string, len(s.Seeds))
	for i, seed := range s.Seeds {
		seeds[i] = fmt.Sprint(seed)
	}
	text += fmt.Sprintf(", %d %s, %s %s.", s.Runs, plural("run", s.Runs), plural("seed", len(seeds)),
		strings.Join(seeds, ", "))
	if s.Note != "" {
		text += " " + s.Note
	}
	return text
}

func plural(noun string, n int) string {
	if n == 1 {
		return noun
	}
	return noun + "s"
}

// SpanName returns the name of a range of layers, such as "8" or "8–10".
func SpanName(first, last int) string {
	if first == last {
		return fmt.Sprint(first)
	}
	return fmt.Sprintf("%d\u2013%d", first, last)
}

// Thousands returns n with its digits grouped by commas.
func Thousands(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// short returns v with three significant digits.
func short(v float64) string {
	s := strconv.FormatFloat(v, 'g', 3, 64)
	s = strings.Replace(s, "e-0", "e-", 1)
	return strings.Replace(strings.Replace(s, "e+0", "e", 1), "-", "\u2212", 1)
}
