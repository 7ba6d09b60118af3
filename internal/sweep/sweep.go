// Package sweep runs lor2c train with many configurations and compares the
// results. The configurations are a grid or a list over any keys of a run file,
// and each has its own run directory.
//
// Every cell is a separate process, so that a crash affects only one cell. A
// cell with results is not run again, and an interrupted cell continues from
// its last checkpoint, so that the same command continues a sweep.
package sweep

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/config"
)

// Sweep is a set of cells that write below one directory.
type Sweep struct {
	Out      string // contains a run directory for each cell, logs and summaries
	Parallel int    // number of cells at the same time, at least 1
	Cells    []Cell
}

// Cell is one run.
type Cell struct {
	Name  string // name of its directory in Sweep.Out
	Group string // Name without the seed
	Base  string // run file; relative to the current directory
	Sets  []Setting

	config *config.Config // valid and resolved
	task   string         // name of the data set's task
	metric string         // the metric that selects the best epoch
}

// Setting is a key of a run file and its value as --set takes it.
type Setting struct {
	Key, Value string
	Place      string // file:line:column that it was read from; "" if it is not from a file
}

// arg returns the setting as --set takes it.
func (s Setting) arg() string { return s.Key + "=" + s.Value }

// Dir returns a cell's run directory.
func (s *Sweep) Dir(c Cell) string { return filepath.Join(s.Out, c.Name) }

// Precisions returns the different precisions of the cells.
func (s *Sweep) Precisions() []string {
	seen := map[string]bool{}
	for _, c := range s.Cells {
		seen[c.config.Train.Precision] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

// args returns the values of --set for a cell.
func (c Cell) args() []string {
	sets := make([]string, len(c.Sets))
	for i, s := range c.Sets {
		sets[i] = s.arg()
	}
	return sets
}

// shortNames returns the short form of every key: its last part, or the whole
// key if two keys have the same last part.
func shortNames(keys []string) map[string]string {
	count := map[string]int{}
	last := func(key string) string { return key[strings.LastIndexByte(key, '.')+1:] }
	for _, k := range keys {
		count[last(k)]++
	}
	short := map[string]string{}
	for _, k := range keys {
		if short[k] = last(k); count[last(k)] > 1 {
			short[k] = k
		}
	}
	return short
}

// fileName returns value without characters that would need quoting in a shell
// or a path.
func fileName(value string) string {
	value = strings.NewReplacer("[", "", "]", "", ", ", "+", ",", "+").Replace(value)
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("+-._", r) {
			return r
		}
		return '_'
	}, value)
}
