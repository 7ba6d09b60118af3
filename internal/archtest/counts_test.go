package archtest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// plural matches a number before a noun in the plural, in a string of Go. Where the number may be 1, place.Count writes
// the noun in the right form. The first group is the word before the number.
var plural = regexp.MustCompile(`(?:\b([a-z]+) |["(, ])%d ((?:optimizer |dev |trained )?(?:rows|steps|epochs|files|layers|` +
	`cells|tasks|examples|messages|columns|workers|checkpoints|runs|predictions|events|warnings|findings|others))\b`)

// wholes are words before a number that is a limit or a total.
var wholes = []string{"of", "most", "least", "than", "all", "want", "within", "the", "these", "its", "without"}

// inward lists packages whose messages with a number are for developers.
var inward = []string{"cmd/gpu-check", "internal/compute", "internal/gpu", "internal/model", "internal/sgemm"}

// TestCounts: no message has a plural noun after a number that may be 1.
func TestCounts(t *testing.T) {
	for _, name := range files(t) {
		skip := func(prefix string) bool { return strings.HasPrefix(name, prefix) }
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || slices.ContainsFunc(inward, skip) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(text), "\n") {
			if m := plural.FindStringSubmatch(line); m != nil && !slices.Contains(wholes, m[1]) {
				t.Errorf("%s:%d: %q", name, i+1, strings.TrimSpace(line))
			}
		}
	}
}
