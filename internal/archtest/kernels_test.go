package archtest

import (
	"go/ast"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var (
	kernelName = regexp.MustCompile(`(?m)^KERNEL(?:_RESIDENT)?\(([a-z0-9_]+),`)
	// kernelHeader finds the names of a header, and the rest of it.
	kernelHeader = regexp.MustCompile(`(?m)^// ([a-z0-9_]+(?:, [a-z0-9_]+)*)(?: \([a-z ]+\))?: .*\n((?://.*\n)*)`)
	// headerLines are what a header has to say.
	headerLines = []string{"Launch  ", "Limits  ", "Numerics", "Work    "}
)

// kernelSources returns the text of every file of kernels by its name.
func kernelSources(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, p := range files(t) {
		if path.Dir(p) != "kernels" || path.Ext(p) != ".cu" {
			continue
		}
		raw, err := os.ReadFile(filepath.Join(root, p))
		if err != nil {
			t.Fatal(err)
		}
		all[p] = string(raw)
	}
	if len(all) < 10 {
		t.Fatalf("%d files of kernels below %s; this test looks in the wrong place", len(all), root)
	}
	return all
}

// TestKernelHeaders wants a complete header before every kernel, in its file.
// That of a kernel name begins the names of its variants.
func TestKernelHeaders(t *testing.T) {
	for p, text := range kernelSources(t) {
		var documented []string
		for _, h := range kernelHeader.FindAllStringSubmatch(text, -1) {
			missing := false
			for _, line := range headerLines {
				missing = missing || !strings.Contains(h[2], "\n// "+line+" ") && !strings.HasPrefix(h[2], "// "+line+" ")
			}
			if !missing {
				documented = append(documented, strings.Split(h[1], ", ")...)
			}
		}
		for _, k := range kernelName.FindAllStringSubmatch(text, -1) {
			found := false
			for _, name := range documented {
				found = found || strings.HasPrefix(k[1]+"_", name+"_")
			}
			if !found {
				t.Errorf("%s: %s has no header with %q", p, k[1], headerLines)
			}
		}
	}
}

// TestKernelsAreLaunched wants the name of every kernel to be made of strings
// of internal/gpu, which launches it. That there is a kernel of every name
// which is launched, its own tests show.
func TestKernelsAreLaunched(t *testing.T) {
	parts := map[string]bool{}
	for _, s := range sources(t) {
		if s.pkg != "internal/gpu" || s.test {
			continue
		}
		ast.Inspect(s.File, func(n ast.Node) bool {
			if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
				part, _ := strconv.Unquote(l.Value)
				parts[part] = true
			}
			return true
		})
	}
	delete(parts, "")
	// Strings have it as a verb of Sprintf.
	headSize := regexp.MustCompile(`_d\d+`)
	for p, text := range kernelSources(t) {
		for _, k := range kernelName.FindAllStringSubmatch(text, -1) {
			if !madeOf(headSize.ReplaceAllString(k[1], "_d%d"), parts) {
				t.Errorf("%s: nothing in internal/gpu launches %s", p, k[1])
			}
		}
	}
}

// madeOf reports whether s is a row of parts.
func madeOf(s string, parts map[string]bool) bool {
	for n := len(s); n > 0; n-- {
		if parts[s[:n]] && (n == len(s) || madeOf(s[n:], parts)) {
			return true
		}
	}
	return false
}
