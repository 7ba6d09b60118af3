package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
)

// startHere changes relative paths of a file with "paths: file" so that they
// start at the current directory, like all others.
func startHere(file string, settings []given) {
	own := false
	for _, s := range settings {
		own = own || s.name == "paths" && s.value.String() == PathsFile
	}
	if !own {
		return
	}
	dir := resolved(filepath.Dir(file))
	for i, s := range settings {
		if isPath(s.leaf, s.value.String()) && !filepath.IsAbs(s.value.String()) && !isName(s.leaf, dir, s.value.String()) {
			settings[i].value = reflect.ValueOf(filepath.Join(dir, s.value.String())).Convert(s.typ)
		}
	}
}

// RunFile returns c as a run file for the existing directory dir. Its relative
// paths start at dir, so that it can be read from anywhere, and also after dir
// was moved together with the files that it names. Absolute paths remain
// absolute. The run is written to dir itself.
func (c *Config) RunFile(dir string) []byte {
	own := *c
	own.Paths = PathsFile
	for _, l := range runFile.leaves {
		if v, ok := l.get(&own); ok && l.path() && isPath(l, v.String()) && !isName(l, ".", v.String()) {
			l.set(&own, reflect.ValueOf(relative(dir, v.String())).Convert(l.typ))
		}
	}
	own.Out = "."
	return encode(&own)
}

// isPath reports whether a value of l is a path. An empty value, or the
// fraction that data.dev may be, is not.
func isPath(l leaf, value string) bool {
	_, err := strconv.ParseFloat(value, 64)
	return l.path() && value != "" && err != nil
}

// isName reports whether a value of l, read in dir, is not a path but the name
// of a model in the Hugging Face cache.
func isName(l leaf, dir, value string) bool {
	if l.name != "model" || strings.HasPrefix(value, ".") || strings.Count(value, "/") > 1 {
		return false
	}
	_, err := os.Stat(filepath.Join(dir, value))
	return err != nil
}

// relative returns path relative to dir. It follows links in both, except for
// the last name of path, which may be a link that is meant to change.
func relative(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return path // without a current directory the path cannot be changed
	}
	target := filepath.Join(resolved(filepath.Dir(abs)), filepath.Base(abs))
	rel, err := filepath.Rel(resolved(dir), target)
	if err != nil {
		return target // on another drive
	}
	return rel
}

// resolved returns the absolute path of a directory. It follows links if the
// directory exists.
func resolved(dir string) string {
	if to, err := filepath.EvalSymlinks(dir); err == nil {
		dir = to
	}
	if abs, err := filepath.Abs(dir); err == nil {
		return abs
	}
	return dir
}
