package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"
)

// methodTypes are the concrete types of fine-tuning methods. What a package needs to know of a method is in the registry
// of internal/adapter.
var methodTypes = []string{"LoR2C", "LoRA", "Full", "Head", "BitFit"}

// methodNames are the names of methods in a run file, without lor2c, which is also the name of the program.
var methodNames = []string{"lora", "full", "head", "bitfit"}

// methodFree lists the packages that must not know one method from another.
var methodFree = []string{
	"internal/compute", "internal/tape", "internal/model", "internal/optim", "internal/schedule", "internal/runlog",
	"internal/config", "internal/train", "internal/report", "internal/sweep",
}

// methodFaults lists the places of a file that name a method.
func methodFaults(s source) (faults []string) {
	ast.Inspect(s.File, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == "adapter" && slices.Contains(methodTypes, n.Sel.Name) {
				faults = append(faults, s.Position(n.Pos()).String()+": adapter."+n.Sel.Name)
			}
		case *ast.BasicLit:
			if text, err := strconv.Unquote(n.Value); n.Kind == token.STRING && err == nil && slices.Contains(methodNames, text) {
				faults = append(faults, s.Position(n.Pos()).String()+": "+n.Value)
			}
		}
		return true
	})
	return faults
}

// TestMethods: a method is one file of internal/adapter and a line in its registry.
func TestMethods(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || !slices.Contains(methodFree, s.pkg) {
			continue
		}
		for _, fault := range methodFaults(s) {
			t.Errorf("%s names a fine-tuning method; ask internal/adapter about it", fault)
		}
	}
}

// TestMethodsBites plants both kinds of fault.
func TestMethodsBites(t *testing.T) {
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, "planted.go", `package train

func f(m any) bool { _, ok := m.(*adapter.LoR2C); return ok || m == "lora" || m == "other" }
`, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := methodFaults(source{File: f, FileSet: set}); len(got) != 2 {
		t.Errorf("faults %q; want 2", got)
	}
}
