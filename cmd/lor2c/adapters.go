package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/train"
)

// sources returns the directories that --adapter, as DIR or NAME=DIR, and --run of a command name, and the name of each
// adapter. A single adapter without NAME= has no name.
func sources(command string, adapters, runs []string, checkpoint string) (names, dirs []string, err error) {
	for _, arg := range adapters {
		name, dir, given := strings.Cut(arg, "=")
		if _, err := os.Stat(arg); err == nil || !given || strings.ContainsAny(name, `/\`) {
			name, dir = "", arg
		}
		names, dirs = append(names, name), append(dirs, dir)
	}
	for _, run := range runs {
		dir, err := train.AdapterDir(run, checkpoint)
		if err != nil {
			return nil, nil, usageError{err}
		}
		names, dirs = append(names, ""), append(dirs, dir)
	}
	if len(dirs) == 1 {
		return names, dirs, nil
	}
	for i, short := range distinct(dirs) {
		if names[i] == "" {
			names[i] = short
		}
	}
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			return nil, nil, usageError{fmt.Errorf("lor2c: %s: two adapters are called %s; name each as in "+
				"--adapter NAME=DIR", command, place.Quote(name))}
		}
	}
	return names, dirs, nil
}

// distinct returns a short name for each path: its last element, or, if those are not all different, the one before,
// and so on; the whole path if none is.
func distinct(paths []string) []string {
	parts := make([][]string, len(paths))
	for i, path := range paths {
		parts[i] = strings.Split(filepath.ToSlash(filepath.Clean(path)), "/")
	}
	for back := 1; ; back++ {
		var names []string
		for _, p := range parts {
			if len(p) < back {
				return paths
			}
			if name := p[len(p)-back]; !slices.Contains(names, name) && name != ".." {
				names = append(names, name)
			}
		}
		if len(names) == len(paths) {
			return names
		}
	}
}
