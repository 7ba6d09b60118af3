package archtest

import (
	"go/ast"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// TestPackageComments fails for a package without a package comment.
func TestPackageComments(t *testing.T) {
	documented := map[string]bool{}
	for _, s := range sources(t) {
		if s.test && s.pkg != "internal/archtest" {
			continue
		}
		documented[s.pkg] = documented[s.pkg] || s.Doc.Text() != ""
	}
	for pkg, ok := range documented {
		if !ok {
			t.Errorf("package %s has no package comment", pkg)
		}
	}
}

// TestDocComments fails for an exported name without a doc comment. Methods of
// interfaces of package compute are documented there, and Error and String by
// the standard library.
func TestDocComments(t *testing.T) {
	all := sources(t)
	described := map[string]bool{"Error": true, "String": true}
	for _, s := range all {
		if s.pkg == "internal/compute" {
			ast.Inspect(s.File, func(n ast.Node) bool {
				if i, ok := n.(*ast.InterfaceType); ok {
					for _, m := range i.Methods.List {
						for _, name := range m.Names {
							described[name.Name] = true
						}
					}
				}
				return true
			})
		}
	}
	for _, s := range all {
		if s.test || s.pkg == "cmd/lor2c" {
			continue
		}
		for _, d := range s.Decls {
			for _, name := range undocumented(d) {
				if _, method, ok := strings.Cut(name.Name, "."); ok && described[method] {
					continue
				}
				t.Errorf("%s: %s has no doc comment", s.Position(name.Pos()), name.Name)
			}
		}
	}
}

// undocumented returns the exported names of a declaration that have no
// comment, with a method as Type.Method. The comment of a group covers its
// members.
func undocumented(d ast.Decl) (names []*ast.Ident) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		receiver := ""
		if d.Recv != nil {
			if receiver = typeName(d.Recv.List[0].Type); !ast.IsExported(receiver) {
				return nil
			}
			receiver += "."
		}
		if d.Name.IsExported() && d.Doc.Text() == "" {
			names = append(names, &ast.Ident{NamePos: d.Name.Pos(), Name: receiver + d.Name.Name})
		}
	case *ast.GenDecl:
		if d.Tok == token.IMPORT || d.Doc.Text() != "" {
			return nil
		}
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				if s.Name.IsExported() && s.Doc.Text() == "" {
					names = append(names, s.Name)
				}
			case *ast.ValueSpec:
				for _, name := range s.Names {
					if name.IsExported() && s.Doc.Text() == "" && s.Comment.Text() == "" {
						names = append(names, name)
					}
				}
			}
		}
	}
	return names
}

// typeName returns the name of a receiver's type without pointer and type
// parameters.
func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return typeName(e.X)
	case *ast.IndexExpr:
		return typeName(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}

// TestFiles fails for a file that is too long to read at a sitting or has a
// mark of unfinished work.
func TestFiles(t *testing.T) {
	const most = 600
	// The words are split so that this file passes its own test.
	unfinished := []string{"TO" + "DO", "FIX" + "ME"}
	for _, p := range files(t) {
		if ext := path.Ext(p); ext != ".go" && ext != ".py" && path.Base(p) != "Makefile" {
			continue
		}
		raw, err := os.ReadFile(filepath.Join(root, p))
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(raw), "\n")
		if len(lines) > most {
			t.Errorf("%s has %d lines; want at most %d", p, len(lines), most)
		}
		for i, line := range lines {
			for _, mark := range unfinished {
				if strings.Contains(line, mark) {
					t.Errorf("%s:%d: %s; want it done, or written where such things are kept", p, i+1, mark)
				}
			}
		}
	}
}
