package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
)

// ordinaryWords are names of methods that other things have too: lor2c is the name of the program, and an adapter is
// also what a run of any method saves.
var ordinaryWords = []string{"adapter", "lor2c"}

// methodNames returns the names of methods in a run file, without ordinary words.
func methodNames() []string {
	return slices.DeleteFunc(adapter.Names(), func(name string) bool { return slices.Contains(ordinaryWords, name) })
}

// methodTypes returns the concrete types of methods: the structs of internal/adapter that embed Plain. What another
// package needs to know of a method is in the registry.
func methodTypes(t *testing.T) (types []string) {
	t.Helper()
	for _, s := range sources(t) {
		if s.test || s.pkg != "internal/adapter" {
			continue
		}
		ast.Inspect(s.File, func(n ast.Node) bool {
			d, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if of, ok := d.Type.(*ast.StructType); ok && slices.ContainsFunc(of.Fields.List, embedsPlain) {
				types = append(types, d.Name.Name)
			}
			return true
		})
	}
	return types
}

func embedsPlain(f *ast.Field) bool {
	name, ok := f.Type.(*ast.Ident)
	return ok && f.Names == nil && name.Name == "Plain"
}

// methodFree lists the packages that must not know one method from another.
var methodFree = []string{
	"internal/compute", "internal/tape", "internal/model", "internal/optim", "internal/schedule", "internal/runlog",
	"internal/config", "internal/train", "internal/report", "internal/sweep",
}

// methodFaults lists the places of a file that name a method.
func methodFaults(s source, types []string) (faults []string) {
	ast.Inspect(s.File, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == "adapter" && slices.Contains(types, n.Sel.Name) {
				faults = append(faults, s.Position(n.Pos()).String()+": adapter."+n.Sel.Name)
			}
		case *ast.BasicLit:
			if text, err := strconv.Unquote(n.Value); n.Kind == token.STRING && err == nil &&
				slices.Contains(methodNames(), text) {
				faults = append(faults, s.Position(n.Pos()).String()+": "+n.Value)
			}
		}
		return true
	})
	return faults
}

// TestMethods: a method is one file of internal/adapter and a line in its registry.
func TestMethods(t *testing.T) {
	types := methodTypes(t)
	if n := len(adapter.Names()); len(types) < n-1 {
		t.Errorf("found the types %v; want about as many as the %d methods", types, n)
	}
	for _, s := range sources(t) {
		if s.test || !slices.Contains(methodFree, s.pkg) {
			continue
		}
		for _, fault := range methodFaults(s, types) {
			t.Errorf("%s names a fine-tuning method; ask internal/adapter about it", fault)
		}
	}
}

// mostMethodLines is the largest length of a file with a method.
const mostMethodLines = 190

// TestMethodFiles: a file that declares a method or describes it to the registry can be read at once.
func TestMethodFiles(t *testing.T) {
	found := 0
	for _, s := range sources(t) {
		if s.test || s.pkg != "internal/adapter" || !describesMethod(s.File) {
			continue
		}
		found++
		if n := s.FileSet.Position(s.File.FileEnd).Line; n > mostMethodLines {
			t.Errorf("%s has %d lines; want at most %d", s.path, n, mostMethodLines)
		}
	}
	if n := len(adapter.Names()); found < n-1 { // full and head share a file
		t.Errorf("found %d files of methods; want those of %d methods", found, n)
	}
}

// describesMethod reports whether a file has a spec of the registry.
func describesMethod(f *ast.File) (found bool) {
	ast.Inspect(f, func(n ast.Node) bool {
		if c, ok := n.(*ast.CompositeLit); ok {
			of, named := c.Type.(*ast.Ident)
			found = found || named && of.Name == "spec"
		}
		return true
	})
	return found
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
	if got := methodFaults(source{File: f, FileSet: set}, methodTypes(t)); len(got) != 2 {
		t.Errorf("faults %q; want 2", got)
	}
}
