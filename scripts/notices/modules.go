package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// target is a kind of binary that is released or that `make build` makes.
type target struct{ os, arch, tags string }

// targets lists every kind of binary. They contain different modules: the CUDA
// driver and OpenBLAS need some, and some are for one operating system.
var targets = []target{
	{"linux", "amd64", "cuda,openblas"},
	{"linux", "amd64", ""},
	{"linux", "arm64", ""},
	{"darwin", "arm64", ""},
	{"darwin", "amd64", ""},
	{"windows", "amd64", ""},
}

// module is a Go module that a binary contains.
type module struct {
	Path, Version, Dir string
	// files has the names of the licence files that apply to the packages used,
	// relative to Dir and sorted.
	files []string
}

// licenceFile matches the names that licences have in Go modules.
var licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|unlicense|copying|notice|patents)([.-].*)?$`)

// linkedModules returns the modules of all packages that any target links,
// sorted by path. It runs `go list` in dir, which needs no network if the
// module cache contains the modules.
func linkedModules(dir string) ([]*module, error) {
	byPath := map[string]*module{}
	for _, t := range targets {
		if err := addPackages(dir, t, byPath); err != nil {
			return nil, fmt.Errorf("notices: list the packages of %s/%s: %w", t.os, t.arch, err)
		}
	}
	var all []*module
	for _, m := range byPath {
		slices.Sort(m.files)
		m.files = slices.Compact(m.files)
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b *module) int { return cmp.Compare(a.Path, b.Path) })
	return all, nil
}

// addPackages adds the modules of one target, and the licence files between
// each package and the root of its module.
func addPackages(dir string, t target, byPath map[string]*module) error {
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Dir,Module", "-tags", t.tags, "./cmd/lor2c",
		"./cmd/gpu-check")
	cgo := "CGO_ENABLED=0"
	if t.tags != "" {
		cgo = "CGO_ENABLED=1"
	}
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOOS="+t.os, "GOARCH="+t.arch, "GOFLAGS=-buildvcs=false", cgo)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(said.Bytes()))
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			Dir    string
			Module *struct {
				Path, Version, Dir string
				Main               bool
			}
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if p.Module == nil || p.Module.Main { // the standard library, or lor2c itself
			continue
		}
		m := byPath[p.Module.Path]
		if m == nil {
			m = &module{Path: p.Module.Path, Version: p.Module.Version, Dir: p.Module.Dir}
			byPath[m.Path] = m
		}
		if err := m.addFiles(p.Dir); err != nil {
			return err
		}
	}
}

// addFiles adds the licence files of a package's directory and of the
// directories above it.
func (m *module) addFiles(dir string) error {
	for {
		rel, err := filepath.Rel(m.Dir, dir)
		if err != nil || strings.HasPrefix(rel, "..") {
			return err
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if e.Type().IsRegular() && licenceFile.MatchString(e.Name()) {
				m.files = append(m.files, filepath.ToSlash(filepath.Join(rel, e.Name())))
			}
		}
		// These are licences of code that a module copied from elsewhere.
		for _, name := range bundled[m.Path] {
			if rel == "." {
				m.files = append(m.files, name)
			}
		}
		dir = filepath.Dir(dir)
	}
}
