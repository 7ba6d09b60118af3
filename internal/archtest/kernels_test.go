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
	// kernelGroup finds the macros that define several kernels of one op.
	kernelGroup = regexp.MustCompile(`(?m)^(ROW|COLUMN)_KERNELS\(([a-z0-9_]+),`)
	// kernelHeader finds the kernel names of a header and its other lines.
	kernelHeader = regexp.MustCompile(`(?m)^// ([a-z0-9_]+(?:, [a-z0-9_]+)*)(?: \([a-z ]+\))?: .*\n((?://.*\n)*)`)
	// headerLines are the lines that a header must have.
	headerLines = []string{"Launched by", "Launch  ", "Limits  ", "Numerics", "Work    "}
	// launchedBy finds the file that a header names.
	launchedBy = regexp.MustCompile(`(?m)^// Launched by internal/gpu/(\w+\.go)\.$`)
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

// kernelNames returns the names of the kernels of a source.
func kernelNames(text string) (names []string) {
	for _, k := range kernelName.FindAllStringSubmatch(text, -1) {
		names = append(names, k[1])
	}
	variants := map[string][]string{"ROW": {"", "_wide", "_odd"}, "COLUMN": {""}}
	for _, g := range kernelGroup.FindAllStringSubmatch(text, -1) {
		for _, variant := range variants[g[1]] {
			names = append(names, g[2]+variant+"_f32", g[2]+variant+"_bf16")
		}
	}
	return names
}

// TestKernelHeaders checks that the file of every kernel has a complete header for it. The name in the header is a
// prefix of the names of all variants of the kernel.
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
		for _, kernel := range kernelNames(text) {
			found := false
			for _, name := range documented {
				found = found || strings.HasPrefix(kernel+"_", name+"_")
			}
			if !found {
				t.Errorf("%s: %s has no header with %q", p, kernel, headerLines)
			}
		}
	}
}

// TestKernelsAreLaunched checks that the header of every kernel names the file of internal/gpu that launches it: the
// kernel's name begins with a string of that file, and the rest of it consists of strings of the package. The tests of
// internal/gpu show the converse, that every name which is launched is that of a kernel.
func TestKernelsAreLaunched(t *testing.T) {
	parts, partsOf := map[string]bool{}, map[string]map[string]bool{}
	for _, s := range sources(t) {
		if s.pkg != "internal/gpu" || s.test {
			continue
		}
		file := map[string]bool{}
		partsOf[path.Base(s.path)] = file
		ast.Inspect(s.File, func(n ast.Node) bool {
			if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
				if part, _ := strconv.Unquote(l.Value); part != "" {
					parts[part], file[part] = true, true
				}
			}
			return true
		})
	}
	// Strings of Sprintf have the head size as a verb.
	headSize := regexp.MustCompile(`_d\d+`)
	for p, text := range kernelSources(t) {
		for _, kernel := range kernelNames(text) {
			file := launcher(text, kernel)
			name := headSize.ReplaceAllString(kernel, "_d%d")
			launched := false
			for part := range partsOf[file] {
				rest, ok := strings.CutPrefix(name, part)
				launched = launched || ok && (rest == "" || madeOf(rest, parts))
			}
			if !launched {
				t.Errorf("%s: %s is said to be launched by internal/gpu/%s, which does not name it", p, kernel, file)
			}
		}
	}
}

// launcher returns the file that the header of a kernel names. Of several headers that document the kernel it is the
// one with the longest name.
func launcher(text, kernel string) (file string) {
	longest := 0
	for _, h := range kernelHeader.FindAllStringSubmatch(text, -1) {
		by := launchedBy.FindStringSubmatch(h[2])
		for _, name := range strings.Split(h[1], ", ") {
			if by != nil && strings.HasPrefix(kernel+"_", name+"_") && len(name) > longest {
				file, longest = by[1], len(name)
			}
		}
	}
	return file
}

// madeOf reports whether s is a concatenation of parts.
func madeOf(s string, parts map[string]bool) bool {
	for n := len(s); n > 0; n-- {
		if parts[s[:n]] && (n == len(s) || madeOf(s[n:], parts)) {
			return true
		}
	}
	return false
}

// TestQuotedKernel checks that the code which kernels/README.md explains is the code of kernels/lowrank.cu.
func TestQuotedKernel(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "kernels/README.md"))
	if err != nil {
		t.Fatal(err)
	}
	quotes := regexp.MustCompile("(?s)```cpp\n(.*?)```\n").FindAllStringSubmatch(string(page), -1)
	if len(quotes) < 5 {
		t.Errorf("%d quotations; want the whole of lowrank_down", len(quotes))
	}
	source := kernelSources(t)["kernels/lowrank.cu"]
	for _, q := range quotes {
		if !strings.Contains(source, q[1]) {
			t.Errorf("not in kernels/lowrank.cu:\n%s", q[1])
		}
	}
}
