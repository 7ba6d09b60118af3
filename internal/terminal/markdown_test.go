package terminal

import "testing"

// TestMarkdown: a page fits the terminal, with whole words and aligned columns, and is not changed without a terminal.
func TestMarkdown(t *testing.T) {
	const page = "# Title of the page\n\n" +
		"| name | n | score |\n|---|---:|---|\n| a | 1 | 0.5 ± 0.1 |\n| longer | 20 | é |\n" +
		"\nScores are of dev.\n* one note of two lines\n"
	for width, want := range map[int]string{
		60: "# Title of the page\n\nname     n  score\na        1  0.5 ± 0.1\nlonger  20  é\n\n" +
			"Scores are of dev.\n" +
			"* one note of two lines\n",
		14: "# Title of the\npage\n\nname     n\na        1\nlonger  20\n" +
			"The terminal\nhas no room\nfor 1 of 3\ncolumns; the\n" +
			"files have\nthem.\n\nScores are of\ndev.\n* one note of\n  two lines\n",
	} {
		if got := (Terminal{Live: true, Width: func() int { return width }}).Markdown(page); got != want {
			t.Errorf("%d cells:\n%q\nwant\n%q", width, got, want)
		}
	}
	if got := (Terminal{}).Markdown(page); got != page {
		t.Errorf("without a terminal: %q", got)
	}
}
