package archtest

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	fenced = regexp.MustCompile("(?ms)^```.*?^```$")
	link   = regexp.MustCompile(`(\[[^\]]*\])\(([^)\s]+)\)|(?:href|src)="([^"]+)"`)
)

// TestLinks checks that the files exist to which Markdown pages link. A link
// whose text is code and that leads to a Go file promises the declaration of
// that name: [`session.step`](internal/train/session.go).
func TestLinks(t *testing.T) {
	links := 0
	for _, page := range files(t) {
		if path.Ext(page) != ".md" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, page))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(fenced.ReplaceAllString(string(text), ""), -1) {
			target, _, _ := strings.Cut(m[2]+m[3], "#")
			if target == "" || strings.Contains(target, ":") {
				continue // a place on the page, or another host
			}
			links++
			target = path.Join(path.Dir(page), target)
			linked, err := os.ReadFile(filepath.Join(root, target))
			if _, missing := os.Stat(filepath.Join(root, target)); missing != nil {
				t.Errorf("%s links to %s, which does not exist", page, target)
				continue
			}
			name, code := strings.CutPrefix(m[1], "[`")
			if name = strings.TrimSuffix(name, "`]"); code && path.Ext(target) == ".go" && err == nil {
				name = name[strings.LastIndexByte(name, '.')+1:]
				declared := regexp.MustCompile(`(?m)^func (\([^)]*\) )?` + name + `\b|^(type|\t)\s*` + name + `\b`)
				if !declared.Match(linked) {
					t.Errorf("%s links from %s to %s, which does not declare it", page, name, target)
				}
			}
		}
	}
	if links < 100 {
		t.Errorf("%d links; this test looks in the wrong place", links)
	}
}

// TestPackageTable checks that the table of packages in ARCHITECTURE.md has a
// row for every package of the table of layers, scripts aside, which links to
// it.
func TestPackageTable(t *testing.T) {
	text, err := os.ReadFile(architecture)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range layers {
		if row := "\n| [`" + l.pkg + "`](" + l.pkg + ") | "; !strings.HasPrefix(l.pkg, "scripts/") &&
			!strings.Contains(string(text), row) {
			t.Errorf("ARCHITECTURE.md has no row that begins with %q", strings.TrimSpace(row))
		}
	}
}
