package terminal_test

import (
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/terminal"
)

// TestFlow: lines break between words whatever the parts in which the text arrives, and no line is wider than the
// terminal.
func TestFlow(t *testing.T) {
	for _, c := range []struct {
		text, want string
		width      int
	}{
		{"one two three", "one two three", 13},
		{"one two three", "one two\nthree", 12},
		{"one two three", "one\ntwo\nthree", 5},
		{"the captain of the ship", "the\ncaptain\nof the\nship", 7},
		{"incomprehensible", "incompre\nhensible", 8},
		{"an incomprehensible end", "an\nincompre\nhensible\nend", 8},
		{"a\n\n  - indented text\n", "a\n\n  - indented\ntext\n", 12},
		{"    far", "    far", 8},
		{"ends here  \nand goes on", "ends here\nand goes on", 20},
		{"\tx := 1", "    x := 1", 20},
		{"名前は何ですか", "名前は\n何です\nか", 7},
		{"e\u0301e\u0301 e\u0301", "e\u0301e\u0301\ne\u0301", 3},
		{"non\u00a0breaking x", "non\u00a0breaking\nx", 12},
	} {
		for _, size := range []int{1, 3, 100} {
			var out strings.Builder
			f := &terminal.Flow{W: &out, Width: func() int { return c.width }}
			for runes := []rune(c.text); len(runes) > 0; {
				n := min(size, len(runes))
				f.Write(string(runes[:n]))
				runes = runes[n:]
			}
			f.Flush()
			if out.String() != c.want {
				t.Errorf("%q in %d cells in parts of %d: %q; want %q", c.text, c.width, size, out.String(), c.want)
			}
			for line := range strings.SplitSeq(out.String(), "\n") {
				if terminal.Cells(line) > c.width {
					t.Errorf("%q has more than %d cells", line, c.width)
				}
			}
		}
	}
	var out strings.Builder
	f := &terminal.Flow{W: &out}
	f.Write("one  two ")
	f.Flush()
	if out.String() != "one  two " {
		t.Errorf("without a width the text is %q", out.String())
	}
}
