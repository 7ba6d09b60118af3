package archtest

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the diagram of ARCHITECTURE.md")

// architecture is the page that has the diagram, between the two marks.
var architecture = filepath.Join(root, "ARCHITECTURE.md")

const (
	beginDiagram = "<!-- make docs writes the diagram from the table of internal/archtest. -->\n"
	endDiagram   = "<!-- The diagram ends here. -->\n"
)

// imported returns the packages that pkg imports, themselves or through others.
func imported(may map[string][]string, pkg string) map[string]bool {
	all := map[string]bool{}
	for _, p := range may[pkg] {
		all[p] = true
		maps.Copy(all, imported(may, p))
	}
	return all
}

// arrows returns for each package that the command is built from those of its
// imports that no other import of it leads to.
func arrows(may map[string][]string) map[string][]string {
	const command = "cmd/lor2c"
	built := imported(may, command)
	built[command] = true
	to := map[string][]string{}
	for pkg := range built {
		to[pkg] = slices.DeleteFunc(slices.Clone(may[pkg]), func(p string) bool {
			return slices.ContainsFunc(may[pkg], func(other string) bool { return imported(may, other)[p] })
		})
		slices.Sort(to[pkg])
	}
	return to
}

// layer returns the layer of pkg: that of a package without imports is 0, and any
// other is one above the highest of its imports.
func layer(to map[string][]string, pkg string) (n int) {
	for _, p := range to[pkg] {
		n = max(n, layer(to, p)+1)
	}
	return n
}

// node returns the name of pkg in a Mermaid text.
func node(pkg string) string {
	return strings.NewReplacer("/", "_", "-", "_").Replace(strings.TrimPrefix(pkg, "internal/"))
}

// diagram returns the table of layers as a Mermaid flowchart, from the command down
// to the packages without imports.
func diagram(may map[string][]string) string {
	to := arrows(may)
	var rows [][]string
	for _, pkg := range slices.Sorted(maps.Keys(to)) {
		n := layer(to, pkg)
		for len(rows) <= n {
			rows = append(rows, nil)
		}
		rows[n] = append(rows[n], pkg)
	}
	var b strings.Builder
	b.WriteString("```mermaid\nflowchart TD\n")
	for n, row := range slices.Backward(rows) {
		fmt.Fprintf(&b, "  subgraph layer%d [\" \"]\n", n)
		for _, pkg := range row {
			fmt.Fprintf(&b, "    %s[%q]\n", node(pkg), strings.TrimPrefix(pkg, "internal/"))
		}
		b.WriteString("  end\n")
	}
	for _, row := range slices.Backward(rows) {
		for _, pkg := range row {
			for _, p := range to[pkg] {
				fmt.Fprintf(&b, "  %s --> %s\n", node(pkg), node(p))
			}
		}
	}
	b.WriteString("```\n")
	return b.String()
}

// drawn returns the text between the two marks, and what stands before and after it.
func drawn(t *testing.T) (before, text, after string) {
	t.Helper()
	page, err := os.ReadFile(architecture)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(page), beginDiagram)
	text, after, ends := strings.Cut(rest, endDiagram)
	if !found || !ends {
		t.Fatalf("%s has no %q and %q", architecture, beginDiagram, endDiagram)
	}
	return before + beginDiagram, text, endDiagram + after
}

// TestDiagram checks that the diagram of the page is that of the table.
func TestDiagram(t *testing.T) {
	want := diagram(allowed(t))
	before, got, after := drawn(t)
	if *update {
		if err := os.WriteFile(architecture, []byte(before+want+after), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != want {
		t.Errorf("the diagram of ARCHITECTURE.md is not that of the table of layers; run `make docs`")
	}
}

// TestDiagramIsReduced checks that the arrows of the page lead to the same
// packages as the table does, and to lead to fewer without any one of them.
func TestDiagramIsReduced(t *testing.T) {
	may := allowed(t)
	_, text, _ := drawn(t)
	to := map[string][]string{}
	arrow := regexp.MustCompile(`(?m)^  (\w+) --> (\w+)$`)
	for _, m := range arrow.FindAllStringSubmatch(text, -1) {
		to[m[1]] = append(to[m[1]], m[2])
	}
	built := imported(may, "cmd/lor2c")
	built["cmd/lor2c"] = true
	for pkg := range built {
		want := map[string]bool{}
		for p := range imported(may, pkg) {
			want[node(p)] = true
		}
		if got := imported(to, node(pkg)); !maps.Equal(got, want) {
			t.Errorf("arrows lead from %s to %v; want %v", pkg, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
		}
	}
	for from, list := range to {
		for i, p := range list {
			fewer := maps.Clone(to)
			fewer[from] = slices.Delete(slices.Clone(list), i, i+1)
			if imported(fewer, from)[p] {
				t.Errorf("the arrow from %s to %s is not needed", from, p)
			}
		}
	}
}
