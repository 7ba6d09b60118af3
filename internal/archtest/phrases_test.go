package archtest

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// phrase is an expression that readers stumble over, with what to write instead.
type phrase struct {
	pattern *regexp.Regexp
	instead string
}

// phrases must not occur in comments, documents or messages. A space matches any
// white space, line breaks with comment marks included.
var phrases = []phrase{
	{spaced(`for want of`), "because there is no"},
	{spaced(`one behind the other`), "contiguous, or concatenated"},
	{spaced(`behind one another`), "contiguous, or concatenated"},
	{spaced(`\banew\b`), "again"},
	{spaced(`what nobody`), "the name of the thing"},
	{spaced(`\bsays why`), "returns an error if, or gives the reason"},
	{spaced(`\w+ is no (?:parameter|number|linear|target|encoder|tensor)\b`), "is not a, or has no"},
	{spaced(`\bso many`), "the number, by its name"},
	{spaced(`\bunbroken`), "uninterrupted"},
	{spaced(`half-written`), "incomplete"},
	{spaced(`\bTest\w+ (?:asserts|wants|holds|pins)\b`), "TestX: the statement that it tests"},
	{spaced(`\b(?:hold|holds|held) (?:\w+ ){1,6}against\b`), "compares with"},
	{spaced(`\bif need be`), "if necessary"},
	{spaced(`\bby way of`), "through, or with"},
	{spaced(`\bgoes on (?:to|from|with|in|until)\b`), "continues"},
	{spaced(`\bleft alone`), "not changed"},
}

// spaced compiles an expression in which a space matches what separates two words
// of a comment.
func spaced(expression string) *regexp.Regexp {
	return regexp.MustCompile("(?i)" + strings.ReplaceAll(expression, " ", `(?:\s|\n\s*(?://|#|\*))+`))
}

// phraseFaults returns a fault for every phrase in the text of a file.
func phraseFaults(file, text string) (faults []string) {
	for _, p := range phrases {
		for _, at := range p.pattern.FindAllStringIndex(text, -1) {
			found := strings.Join(strings.Fields(text[at[0]:at[1]]), " ")
			if strings.HasPrefix(strings.ToLower(found), "there ") {
				continue // "there is no tensor x" is plain
			}
			line := 1 + strings.Count(text[:at[0]], "\n")
			faults = append(faults, fmt.Sprintf("%s:%d: %q; want plainer words, such as: %s", file, line, found, p.instead))
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
		"line break": {"// rows one behind\n\t// the other\n", `f.go:1: "one behind // the other"`},
		"message":    {`errors.New("x is no parameter of this model")`, `"x is no parameter"`},
		"capital":    {"# Anew\n", `f.go:1: "Anew"`},
		"shell":      {"# runs on the CPU for\n# want of a card\n", `"for # want of"`},
		"unbroken":   {"// the files of an unbroken run\n", `"unbroken"`},
		"incomplete": {`t.Error("the line is half-written")`, `"half-written"`},
		"test":       {"// TestX wants the files to be equal.\n", `"TestX wants"`},
		"against":    {"// TestX: the ids are held once more\n// against a golden file.\n", `"held once more // against"`},
		"need":       {"// It makes dir if need be.\n", `"if need be"`},
		"way":        {"// singular values by way of Gram matrices\n", `"by way of"`},
		"goes":       {"// The run goes on from there.\n", `"goes on from"`},
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
