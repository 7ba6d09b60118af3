package archtest

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// phrase is an expression that readers stumble over, with what to write instead. The expression is compared with a
// text as plain returns it. Because most files have no phrase, it is only searched where one of the words occurs.
type phrase struct {
	words   []string
	pattern *regexp.Regexp
	instead string
}

// phrases must not occur in comments, documents or messages.
var phrases = []phrase{
	literal("for want of", "because there is no"),
	literal("one behind the other", "contiguous, or concatenated"),
	literal("behind one another", "contiguous, or concatenated"),
	{[]string{"anew"}, regexp.MustCompile(`\banew\b`), "again"},
	literal("what nobody", "the name of the thing"),
	{[]string{"says why"}, regexp.MustCompile(`\bsays why`), "returns an error if, or gives the reason"},
	{[]string{" is no "}, regexp.MustCompile(`\w+ is no (?:parameter|number|linear|target|encoder|tensor)\b`),
		"is not a, or has no"},
	{[]string{"so many"}, regexp.MustCompile(`\bso many`), "the number, by its name"},
	{[]string{"unbroken"}, regexp.MustCompile(`\bunbroken`), "uninterrupted"},
	literal("half-written", "incomplete"),
	{[]string{" asserts", " wants", " holds", " pins"}, regexp.MustCompile(`\btest\w+ (?:asserts|wants|holds|pins)\b`),
		"TestX: the statement that it tests"},
	{[]string{" against"}, regexp.MustCompile(`\b(?:hold|holds|held) (?:\w+ ){1,6}against\b`), "compares with"},
	{[]string{"if need be"}, regexp.MustCompile(`\bif need be`), "if necessary"},
	{[]string{"by way of"}, regexp.MustCompile(`\bby way of`), "through, or with"},
	{[]string{"goes on "}, regexp.MustCompile(`\bgoes on (?:to|from|with|in|until)\b`), "continues"},
	{[]string{"left alone"}, regexp.MustCompile(`\bleft alone`), "not changed"},
}

// literal returns a phrase without variants.
func literal(text, instead string) phrase {
	return phrase{[]string{text}, regexp.MustCompile(regexp.QuoteMeta(text)), instead}
}

// plain returns a text in lower case with one blank for what separates two words of a comment: white space, and the
// comment marks at the starts of lines. lines has the line of each byte.
func plain(text string) (lower string, lines []int) {
	out := make([]byte, 0, len(text))
	line := 1
	for i := 0; i < len(text); {
		c := text[i]
		if !isSpace(c) {
			if c >= 'A' && c <= 'Z' {
				c += 'a' - 'A'
			}
			out, lines = append(out, c), append(lines, line)
			i++
			continue
		}
		out, lines = append(out, ' '), append(lines, line)
		for start := false; i < len(text); {
			mark := commentMark(text[i:])
			switch {
			case isSpace(text[i]):
				if text[i] == '\n' {
					line++
					start = true
				}
				i++
				continue
			case start && mark > 0:
				start = false
				i += mark
				continue
			}
			break
		}
	}
	return string(out), lines
}

// commentMark returns the length of the comment mark at the start of text, or 0.
func commentMark(text string) int {
	switch {
	case strings.HasPrefix(text, "//"):
		return 2
	case text[0] == '#' || text[0] == '*':
		return 1
	}
	return 0
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' }

// phraseFaults returns a fault for every phrase in the text of a file.
func phraseFaults(file, text string) (faults []string) {
	lower, lines := plain(text)
	for _, p := range phrases {
		if !slices.ContainsFunc(p.words, func(w string) bool { return strings.Contains(lower, w) }) {
			continue
		}
		for _, at := range p.pattern.FindAllStringIndex(lower, -1) {
			found := lower[at[0]:at[1]]
			if strings.HasPrefix(found, "there ") {
				continue // "there is no tensor x" is plain
			}
			faults = append(faults, fmt.Sprintf("%s:%d: %q; want plainer words, such as: %s", file, lines[at[0]], found,
				p.instead))
		}
	}
	return faults
}

// isProse reports whether people read the text of a file, and not only programs.
func isProse(file string) bool {
	switch path.Ext(file) {
	case ".go", ".cu", ".cuh", ".h", ".cpp", ".md", ".sh", ".py":
		return true
	}
	return path.Base(file) == "Makefile" || file == ".ci/run"
}

func TestPhrases(t *testing.T) {
	seen := 0
	for _, p := range append(files(t), ".ci/run") {
		if !isProse(p) || p == "internal/archtest/phrases_test.go" {
			continue
		}
		raw, err := os.ReadFile(filepath.Join(root, p))
		if err != nil {
			t.Fatal(err)
		}
		seen++
		for _, fault := range phraseFaults(p, string(raw)) {
			t.Error(fault)
		}
	}
	if seen < 100 {
		t.Fatalf("%d files with text below %s; this test looks in the wrong place", seen, root)
	}
}

// TestPhraseFaults plants the phrases that TestPhrases looks for.
func TestPhraseFaults(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"comment":    {"package p\n\n// Check says why b cannot be used.\n", `f.go:3: "says why"; want plainer words`},
		"line break": {"// rows one behind\n\t// the other\n", `f.go:1: "one behind the other"`},
		"message":    {`errors.New("x is no parameter of this model")`, `f.go:1: "x is no parameter"`},
		"capital":    {"# Anew\n", `f.go:1: "anew"`},
		"shell":      {"# runs on the CPU for\n# want of a card\n", `f.go:1: "for want of"`},
		"unbroken":   {"// the files of an unbroken run\n", `"unbroken"`},
		"incomplete": {`t.Error("the line is half-written")`, `"half-written"`},
		"test":       {"// TestX wants the files to be equal.\n", `"testx wants"`},
		"against": {"// TestX: the ids are held once more\n// against a golden file.\n",
			`f.go:1: "held once more against"`},
		"need":       {"// It makes dir if need be.\n", `"if need be"`},
		"way":        {"// singular values by way of Gram matrices\n", `"by way of"`},
		"goes":       {"// The run goes on from there.\n", `"goes on from"`},
		"later line": {"// a\n//\n// b\n\n// It is left\n//\n//   alone.\n", `f.go:5: "left alone"`},
		"list":       {"# One\n\n* what\n* nobody knows\n", `f.go:3: "what nobody"`},
		"alone":      {"// Other files are left alone.\n", `"left alone"`},
	} {
		t.Run("fault="+name, func(t *testing.T) {
			faults := phraseFaults("f.go", c.text)
			if len(faults) != 1 || !strings.Contains(faults[0], c.want) {
				t.Errorf("faults %q; want one with %q", faults, c.want)
			}
		})
	}
	for _, text := range []string{
		"there is no tensor x; the file has 3 others", "there\n// is no number", "renewed; also many",
		"it is not a parameter", "nobody reads it",
	} {
		if faults := phraseFaults("f.go", text); faults != nil {
			t.Errorf("faults of plain text: %q", faults)
		}
	}
}
