package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ +(.+)$`)
	dropped = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// linkFaults returns the links of a page to files of the repository that do not exist, and to headings that a page does
// not have.
func linkFaults(t *testing.T, page string) (faults []string) {
	t.Helper()
	for _, m := range link.FindAllStringSubmatch(prose(t, page), -1) {
		if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
			continue
		}
		file, anchor, _ := strings.Cut(m[1], "#")
		path := page
		if file != "" {
			path = filepath.Join(filepath.Dir(page), file)
		}
		if _, err := os.Stat(path); err != nil {
			faults = append(faults, "the link "+m[1]+" leads to no file")
		} else if anchor != "" && !slices.Contains(anchors(prose(t, path)), anchor) {
			faults = append(faults, "the link "+m[1]+" leads to no heading")
		}
	}
	return faults
}

// prose returns the text of a page without its blocks.
func prose(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split("\n"+string(raw), "\n```")
	var b strings.Builder
	for i := 0; i < len(parts); i += 2 {
		b.WriteString(parts[i] + "\n")
	}
	return b.String()
}

// anchors returns the anchors of the headings of a text, as GitHub makes them.
func anchors(text string) (list []string) {
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		list = append(list, strings.ReplaceAll(dropped.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-"))
	}
	return list
}

// TestLinkFaults: links to files and headings that do not exist are found.
func TestLinkFaults(t *testing.T) {
	dir := t.TempDir()
	page := filepath.Join(dir, "page.md")
	const text = "# A page, of one `word`\n[a](page.md#a-page-of-one-word) [b](none.md) [c](#none) [d](https://x.y/z)\n" +
		"```text\n[e](gone.md)\n```\n"
	if err := os.WriteFile(page, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	want := []string{"the link none.md leads to no file", "the link #none leads to no heading"}
	if got := linkFaults(t, page); !slices.Equal(got, want) {
		t.Errorf("%q; want %q", got, want)
	}
}
