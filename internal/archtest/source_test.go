// Package archtest tests rules about the whole source tree that a compiler does
// not check: imports between packages, doc comments, the size of files, and
// plain words.
package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// root is the module's directory seen from this package.
const root = "../.."

// source is one Go file, whatever its build tags.
type source struct {
	path string // from root, with slashes
	pkg  string // its directory: the import path without the module
	test bool
	*ast.File
	*token.FileSet
}

// imports returns the import paths of the file.
func (s source) imports() (paths []string) {
	for _, i := range s.Imports {
		p, _ := strconv.Unquote(i.Path.Value)
		paths = append(paths, p)
	}
	return paths
}

// files returns the paths of the files of the product below root, with slashes.
func files(t *testing.T) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := e.Name()
		if e.IsDir() && p != root &&
			(strings.HasPrefix(name, ".") || slices.Contains([]string{"testdata", "shared", "runs"}, name)) {
			return fs.SkipDir
		}
		// A directory with a go.mod is another module, for example a generator.
		if _, err := os.Stat(filepath.Join(p, "go.mod")); e.IsDir() && p != root && err == nil {
			return fs.SkipDir
		}
		if e.Type().IsRegular() {
			rel, err := filepath.Rel(root, p)
			paths = append(paths, filepath.ToSlash(rel))
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// parsed has what sources returns. The tests of this package do not run in parallel.
var parsed []source

// sources parses every Go file, once for all tests.
func sources(t *testing.T) (all []source) {
	t.Helper()
	if parsed != nil {
		return parsed
	}
	defer func() { parsed = all }()
	for _, p := range files(t) {
		if path.Ext(p) != ".go" {
			continue
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, filepath.Join(root, p), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, source{p, path.Dir(p), strings.HasSuffix(p, "_test.go"), f, set})
	}
	if len(all) < 50 {
		t.Fatalf("%d Go files below %s; this test looks in the wrong place", len(all), root)
	}
	return all
}
