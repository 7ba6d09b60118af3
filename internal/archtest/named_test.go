package archtest

import (
	"go/ast"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// namedTest matches a test that a page names, such as `instruct.TestCutoff`.
var namedTest = regexp.MustCompile("`([a-z]+)\\.(Test[A-Za-z0-9]+)`")

// TestNamedTests: the tests that docs/decoder-tests.md names exist, and every row of its tables names one.
func TestNamedTests(t *testing.T) {
	declared := map[string]bool{}
	for _, s := range sources(t) {
		if !s.test {
			continue
		}
		pkg := path.Base(s.pkg)
		if strings.HasPrefix(s.pkg, "cmd/") {
			pkg = "main"
		}
		for _, d := range s.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil {
				declared[pkg+"."+f.Name.Name] = true
			}
		}
	}
	text, err := os.ReadFile(filepath.Join(root, "docs/decoder-tests.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "| ") || strings.Contains(line, "| tests") {
			continue
		}
		rows++
		names := namedTest.FindAllStringSubmatch(line, -1)
		for _, m := range names {
			if name := m[1] + "." + m[2]; !declared[name] {
				t.Errorf("there is no test %s", name)
			}
		}
		if len(names) == 0 && !strings.Contains(line, "`computetest.Run`") {
			t.Errorf("no test in %q", line)
		}
	}
	if rows < 40 {
		t.Errorf("the page has %d rows; want those of both tables", rows)
	}
}
