package archtest

import (
	"go/ast"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// module is the prefix of import paths of this module: the module path of
// go.mod and a slash.
var module = func() string {
	text, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		panic(err)
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(string(text), "module "), "\n")
	return name + "/"
}()

// layers lists every package with the packages of this module that it may
// import, leaves first. A package may name only packages above it, so the table
// cannot have a cycle.
var layers = []struct {
	pkg string
	may []string
}{
	{"internal/place", nil},
	{"internal/nearest", nil},
	{"internal/mangled", nil},
	{"internal/team", nil},
	{"internal/infile", []string{"internal/place"}},
	{"internal/strictjson", []string{"internal/place"}},
	{"internal/tokenizer", []string{"internal/place", "internal/infile", "internal/strictjson"}},
	{"internal/metric", []string{"internal/place", "internal/nearest"}},
	{"internal/compute", nil},
	{"internal/group", []string{"internal/place"}},
	{"internal/group/grouptest", []string{"internal/group"}},
	{"internal/group/mpi", []string{"internal/group"}},
	{"internal/checkpoint", []string{"internal/place", "internal/infile", "internal/strictjson"}},
	{"internal/outfile", []string{"internal/place", "internal/checkpoint"}},
	{"internal/setting", []string{"internal/nearest"}},
	{"internal/schedule", []string{"internal/place", "internal/setting"}},
	{"internal/terminal", []string{"internal/place"}},
	{"internal/terminal/terminaltest", []string{"internal/terminal"}},
	{"internal/runlog",
		[]string{"internal/place", "internal/infile", "internal/strictjson", "internal/terminal", "internal/metric",
			"internal/checkpoint", "internal/schedule"}},
	{"internal/figure", []string{"internal/outfile"}},
	{"internal/archtest", nil},
	{"internal/peertest", nil},
	{"internal/gpu/hostlib", nil},
	{"internal/gpu/hostlib/hostkernels", []string{"internal/gpu/hostlib"}},
	{"internal/gpu/culazy", nil},
	{"internal/gpu/driver", []string{"internal/gpu/culazy"}},
	{"kernels", nil},
	{"internal/gpu", []string{"internal/compute", "internal/gpu/driver", "kernels"}},
	{"internal/chat", []string{"internal/place"}},
	{"internal/dataset",
		[]string{"internal/place", "internal/infile", "internal/strictjson", "internal/nearest", "internal/tokenizer",
			"internal/metric", "internal/setting", "internal/mangled", "internal/team"}},
	{"internal/instruct",
		[]string{"internal/place", "internal/infile", "internal/strictjson", "internal/nearest", "internal/chat",
			"internal/dataset", "internal/mangled", "internal/team"}},
	{"internal/benchmark", []string{
		"internal/place", "internal/infile", "internal/strictjson", "internal/nearest", "internal/metric",
	}},
	{"internal/nf4", nil},
	{"internal/processor", nil},
	{"internal/sgemm", []string{"internal/nf4", "internal/processor"}},
	{"internal/bitsandbytes",
		[]string{"internal/place", "internal/strictjson", "internal/checkpoint", "internal/nf4"}},
	{"internal/vector", []string{"internal/compute", "internal/processor"}},
	{"internal/cpu", []string{
		"internal/place", "internal/compute", "internal/nf4", "internal/processor", "internal/sgemm", "internal/team",
		"internal/vector",
	}},
	{"internal/compute/nulldev", []string{"internal/compute"}},
	{"internal/compute/computetest", []string{"internal/compute", "internal/nf4"}},
	{"internal/tape", []string{"internal/compute"}},
	{"internal/model", []string{
		"internal/place", "internal/infile", "internal/strictjson", "internal/compute", "internal/compute/nulldev",
		"internal/tape", "internal/checkpoint", "internal/nf4", "internal/bitsandbytes",
	}},
	{"internal/identity", []string{"internal/place", "internal/infile", "internal/strictjson"}},
	{"internal/adapter",
		[]string{"internal/identity", "internal/place", "internal/setting", "internal/infile", "internal/strictjson",
			"internal/schedule", "internal/compute", "internal/tape", "internal/model", "internal/checkpoint", "internal/nf4",
			"internal/bitsandbytes"}},
	{"internal/onnx", []string{
		"internal/checkpoint", "internal/compute", "internal/tape", "internal/model", "internal/adapter",
	}},
	{"internal/gguf", []string{
		"internal/tokenizer", "internal/compute", "internal/model", "internal/adapter", "internal/checkpoint",
	}},
	{"internal/generate",
		[]string{"internal/place", "internal/infile", "internal/strictjson", "internal/tokenizer", "internal/compute",
			"internal/compute/nulldev", "internal/tape", "internal/model", "internal/adapter", "internal/chat",
			"internal/dataset", "internal/instruct"}},
	{"internal/evaluate", []string{
		"internal/place", "internal/strictjson", "internal/infile", "internal/metric", "internal/identity",
		"internal/checkpoint", "internal/outfile", "internal/team", "internal/tokenizer", "internal/compute",
		"internal/benchmark", "internal/generate",
	}},
	{"internal/sandbox", nil},
	{"internal/optim", []string{"internal/setting", "internal/compute", "internal/tape"}},
	{"internal/config", []string{
		"internal/place", "internal/setting", "internal/infile", "internal/schedule", "internal/identity", "internal/adapter",
		"internal/optim", "internal/dataset",
	}},
	{"internal/train", []string{
		"internal/place", "internal/infile", "internal/strictjson", "internal/tokenizer", "internal/metric",
		"internal/compute", "internal/checkpoint", "internal/terminal", "internal/runlog", "internal/schedule",
		"internal/dataset", "internal/chat", "internal/instruct",
		"internal/compute/nulldev", "internal/tape", "internal/model", "internal/identity", "internal/adapter",
		"internal/optim", "internal/config", "internal/nf4", "internal/bitsandbytes", "internal/onnx",
		"internal/gguf", "internal/group",
	}},
	{"internal/predict", []string{
		"internal/place", "internal/infile", "internal/strictjson", "internal/identity", "internal/checkpoint",
		"internal/outfile", "internal/metric", "internal/dataset", "internal/adapter", "internal/train",
	}},
	{"internal/serve", []string{
		"internal/place", "internal/strictjson", "internal/compute", "internal/dataset", "internal/adapter",
		"internal/chat", "internal/instruct", "internal/generate", "internal/train", "internal/predict",
	}},
	{"internal/report", []string{
		"internal/place", "internal/infile", "internal/strictjson", "internal/metric", "internal/runlog", "internal/schedule",
		"internal/figure", "internal/config", "internal/identity", "internal/train",
	}},
	{"internal/sweep", []string{
		"internal/place", "internal/strictjson", "internal/nearest", "internal/infile", "internal/metric",
		"internal/outfile", "internal/runlog", "internal/schedule", "internal/config", "internal/identity",
		"internal/terminal", "internal/train",
	}},
	{"internal/watch", []string{
		"internal/place", "internal/infile", "internal/metric", "internal/terminal", "internal/runlog", "internal/schedule",
		"internal/config", "internal/train", "internal/sweep",
	}},
	{"internal/reproduce",
		[]string{"internal/place", "internal/metric", "internal/outfile", "internal/schedule", "internal/runlog",
			"internal/figure", "internal/config", "internal/sweep", "internal/benchmark"}},
	{"cmd/lor2c", []string{
		"internal/place", "internal/nearest", "internal/compute", "internal/cpu", "internal/gpu", "internal/adapter",
		"internal/processor",
		"internal/checkpoint", "internal/outfile", "internal/config", "internal/terminal", "internal/figure",
		"internal/metric", "internal/train", "internal/report", "internal/sweep", "internal/reproduce",
		"internal/infile", "internal/strictjson", "internal/tokenizer", "internal/chat", "internal/instruct",
		"internal/generate", "internal/benchmark", "internal/evaluate", "internal/sandbox",
		"internal/dataset", "internal/predict", "internal/serve", "internal/identity", "internal/runlog",
		"internal/watch", "internal/group", "internal/group/mpi",
	}},
	{"cmd/gpu-check", nil},
	{"scripts/notices", nil},
	{"scripts/predictstep", nil},
	{"scripts/serve_load", nil},
	{"scripts/configdocs", []string{"internal/adapter", "internal/config"}},
}

// reserved lists, by prefix, the packages that may import a third-party module.
var reserved = []struct {
	prefix string
	to     []string
}{
	{"gonum.org/v1/gonum/blas", []string{"internal/cpu"}},
	{"gonum.org/v1/netlib", []string{"internal/cpu"}},
	{"github.com/spf13/viper", []string{"internal/config"}},
	{"gonum.org/v1/plot", []string{"internal/figure"}},
	{"github.com/spf13/cobra", []string{"cmd/lor2c"}},
	{"gorgonia.org/cu", []string{"internal/gpu/driver"}},
	{"github.com/elastic/go-seccomp-bpf", []string{"internal/sandbox"}},
	{"github.com/landlock-lsm/go-landlock", []string{"internal/sandbox"}},
	{"github.com/prometheus", []string{"internal/serve"}},
	{"github.com/ebitengine/purego", []string{"internal/group/mpi"}},
}

// refused has packages that no package may import, with the reason. Packages below them may be imported.
var refused = map[string]string{
	"gonum.org/v1/plot": "a program that does contains fonts and writers of 4.6 MB (docs/adr/0069-axes.md)",
}

// allowed returns the imports that layers allows, by package.
func allowed(t *testing.T) map[string][]string {
	t.Helper()
	may := map[string][]string{}
	for _, l := range layers {
		for _, p := range l.may {
			if _, ok := may[p]; !ok {
				t.Errorf("%s may import %s, which is not above it in the table", l.pkg, p)
			}
		}
		may[l.pkg] = l.may
	}
	return may
}

// importFaults returns a fault for every import of a file that is not allowed.
// The file must not be a test.
func importFaults(may map[string][]string, pkg string, imports []string) (faults []string) {
	list, listed := may[pkg]
	if !listed {
		faults = append(faults, "package "+pkg+" is not in the table of layers")
	}
	for _, p := range imports {
		ours, isOurs := strings.CutPrefix(p, module)
		if isOurs && !slices.Contains(list, ours) {
			faults = append(faults, pkg+" imports "+ours+"; it may import "+strings.Join(list, ", "))
		}
		if why, ok := refused[p]; ok {
			faults = append(faults, pkg+" imports "+p+"; "+why)
		}
		for _, r := range reserved {
			if (p == r.prefix || strings.HasPrefix(p, r.prefix+"/")) && !slices.Contains(r.to, pkg) {
				faults = append(faults, pkg+" imports "+p+"; only "+strings.Join(r.to, ", ")+" may")
			}
		}
	}
	return faults
}

func TestImports(t *testing.T) {
	may := allowed(t)
	used := map[string]bool{}
	for _, s := range sources(t) {
		used[s.pkg] = true
		if s.test {
			continue
		}
		for _, fault := range importFaults(may, s.pkg, s.imports()) {
			t.Errorf("%s: %s", s.path, fault)
		}
		for _, p := range s.imports() {
			if ours, ok := strings.CutPrefix(p, module); ok {
				used[s.pkg+" "+ours] = true
			}
		}
	}
	// An entry for an import that does not exist would hide a later mistake.
	for pkg, list := range may {
		if !used[pkg] {
			t.Errorf("the table of layers has %s, which does not exist", pkg)
		}
		for _, p := range list {
			if !used[pkg+" "+p] {
				t.Errorf("%s may import %s and does not", pkg, p)
			}
		}
	}
}

// TestImportFaults plants the faults that TestImports looks for.
func TestImportFaults(t *testing.T) {
	may := allowed(t)
	for name, c := range map[string]struct {
		pkg, imports, want string
	}{
		"upwards": {"internal/tape", "github.com/lor2c/lor2c/internal/model",
			"internal/tape imports internal/model; it may import internal/compute"},
		"device": {"internal/train", "github.com/lor2c/lor2c/internal/cpu",
			"internal/train imports internal/cpu; it may import"},
		"blas": {"internal/train", "gonum.org/v1/gonum/blas/blas64",
			"internal/train imports gonum.org/v1/gonum/blas/blas64; only internal/cpu may"},
		"netlib":      {"internal/metric", "gonum.org/v1/netlib/blas/netlib", "only internal/cpu may"},
		"viper":       {"cmd/lor2c", "github.com/spf13/viper", "only internal/config may"},
		"cobra":       {"internal/config", "github.com/spf13/cobra", "only cmd/lor2c may"},
		"cu":          {"internal/train", "gorgonia.org/cu", "only internal/gpu/driver may"},
		"plot":        {"internal/figure", "gonum.org/v1/plot", "a program that does contains fonts"},
		"new package": {"internal/more", "fmt", "internal/more is not in the table"},
	} {
		t.Run("fault="+name, func(t *testing.T) {
			faults := importFaults(may, c.pkg, []string{"fmt", c.imports})
			if len(faults) != 1 || !strings.Contains(faults[0], c.want) {
				t.Errorf("faults %q; want one with %q", faults, c.want)
			}
		})
	}
	if faults := importFaults(may, "internal/tape",
		[]string{"slices", "github.com/lor2c/lor2c/internal/compute"}); faults != nil {
		t.Errorf("faults of an import that is allowed: %q", faults)
	}
}

// TestNoPatterns: no path is used as a pattern, because brackets in the name of a user's folder would be part of it.
// fs.Glob on os.DirFS takes a pattern below a folder. The programs that compile kernels run in the source tree only.
func TestNoPatterns(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || strings.HasPrefix(s.pkg, "internal/gpu/hostlib") {
			continue
		}
		ast.Inspect(s.File, func(n ast.Node) bool {
			call, ok := n.(*ast.SelectorExpr)
			if !ok || call.Sel.Name != "Glob" {
				return true
			}
			if pkg, ok := call.X.(*ast.Ident); ok && pkg.Name == "filepath" {
				t.Errorf("%s: filepath.Glob takes a whole path as a pattern; use fs.Glob(os.DirFS(folder), pattern)",
					s.Position(n.Pos()))
			}
			return true
		})
	}
}
