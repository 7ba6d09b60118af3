package sweep

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/infile"
	"github.com/lor2c/lor2c/internal/nearest"
	"github.com/lor2c/lor2c/internal/place"
)

// keys are the keys of a sweep file.
var keys = []string{"base", "set", "grid", "runs", "out", "parallel"}

// axis is a key of the grid with its values.
type axis struct {
	key    string
	values []Setting
}

// variant is an element of runs.
type variant struct {
	name string
	sets []Setting
}

// reader reads a sweep file and collects its faults.
type reader struct {
	file      string
	base, out string
	parallel  int
	sets      []Setting
	grid      []axis
	runs      []variant
	faults    []error
}

// Read reads a sweep file. It returns all its faults together, as a
// *config.Error, each with its place. It does not check the cells; see
// [Sweep.Check].
func Read(file string) (*Sweep, error) {
	text, err := infile.ReadStream(context.Background(), file, infile.RunFile)
	if err != nil {
		return nil, &config.Error{Faults: []error{fmt.Errorf("sweep: read %s: %w; want a sweep file in YAML", file, err)}}
	}
	r := &reader{file: file, parallel: 1}
	r.read(text)
	var cells []Cell
	if r.faults == nil {
		cells = r.cells()
	}
	if r.faults != nil {
		return nil, &config.Error{Faults: r.faults}
	}
	return &Sweep{Out: r.out, Parallel: r.parallel, Cells: cells}, nil
}

func (r *reader) fault(n *yaml.Node, format string, a ...any) {
	r.faults = append(r.faults, fmt.Errorf("sweep: %s: "+format, append([]any{r.place(n)}, a...)...))
}

func (r *reader) place(n *yaml.Node) string { return fmt.Sprintf("%s:%d:%d", r.file, n.Line, n.Column) }

func (r *reader) read(text []byte) {
	var doc yaml.Node
	if err := yaml.NewDecoder(bytes.NewReader(text)).Decode(&doc); errors.Is(err, io.EOF) {
		r.faults = append(r.faults, fmt.Errorf("sweep: %s: is empty; want the keys %s", r.file, strings.Join(keys, ", ")))
		return
	} else if err != nil {
		r.faults = append(r.faults,
			fmt.Errorf("sweep: %s: is not YAML: %s", r.file, strings.TrimPrefix(err.Error(), "yaml: ")))
		return
	}
	root := doc.Content[0]
	r.mapping(root, "a sweep file", func(key, value *yaml.Node) {
		switch key.Value {
		case "base":
			r.base = r.path(value, "the run file that all cells begin with")
		case "out":
			r.out = r.path(value, "the directory to write to")
		case "parallel":
			n, err := strconv.Atoi(value.Value)
			if err != nil || n < 1 {
				r.fault(value, "parallel: is %q; want the number of cells that run at the same time, 1 or more", value.Value)
			}
			r.parallel = n
		case "set":
			r.sets = r.settings(value, "set")
		case "grid":
			r.mapping(value, "grid", func(key, value *yaml.Node) { r.grid = append(r.grid, r.axis(key, value)) })
		case "runs":
			if value.Kind != yaml.SequenceNode {
				r.fault(value, "runs: is not a list; want a list of {name, set}")
			}
			for _, n := range value.Content {
				r.runs = append(r.runs, r.variant(n))
			}
		default:
			r.unknown(key, "", keys)
		}
	})
	for _, need := range []struct{ key, value, what string }{{"base", r.base, "a run file"},
		{"out", r.out, "a directory"}} {
		if need.value == "" && r.faults == nil {
			r.fault(root, "%s: is not given; want %s", need.key, need.what)
		}
	}
}

// mapping calls visit for each key of n. A key that is given twice is a fault.
func (r *reader) mapping(n *yaml.Node, what string, visit func(key, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		r.fault(n, "%s is not a mapping; want key: value", what)
		return
	}
	seen := map[string]bool{}
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if value.Kind == yaml.AliasNode {
			value = value.Alias
		}
		if seen[key.Value] {
			r.fault(key, "%s: is given twice; want it once", key.Value)
		}
		seen[key.Value] = true
		visit(key, value)
	}
}

func (r *reader) unknown(key *yaml.Node, prefix string, known []string) {
	if name, near := nearest.Name(key.Value, known); near {
		r.fault(key, "%s%s: unknown key; did you mean %s?", prefix, key.Value, name)
		return
	}
	r.fault(key, "%s%s: unknown key; want %s", prefix, key.Value, strings.Join(known, ", "))
}

// text returns a scalar.
func (r *reader) text(n *yaml.Node, want string) string {
	if n.Kind != yaml.ScalarNode || n.Value == "" {
		r.fault(n, "is empty or not a plain value; want %s", want)
	}
	return n.Value
}

// path returns a scalar that names a file or a folder.
func (r *reader) path(n *yaml.Node, want string) string {
	path := r.text(n, want)
	if err := config.CheckPath(path); err != nil {
		r.fault(n, "%w", err)
	}
	return path
}

// settings reads a mapping of keys of a run file, written with dots.
func (r *reader) settings(n *yaml.Node, what string) (sets []Setting) {
	r.mapping(n, what, func(key, value *yaml.Node) { sets = append(sets, r.setting(key, value)) })
	return sets
}

func (r *reader) setting(key, value *yaml.Node) Setting {
	at := value
	if key.Line == value.Line {
		at = key // a user looks for the name there
	}
	s := Setting{Key: key.Value, Place: r.place(at)}
	switch {
	case key.Value == "out":
		r.fault(key, "out: is set by the sweep to a directory for each cell; leave it out")
	case value.Kind == yaml.MappingNode:
		r.fault(key, "%s: is a mapping; want keys with dots, such as optim.lr: 1e-3", key.Value)
	case value.Kind == yaml.SequenceNode:
		var items []string
		for _, c := range value.Content {
			items = append(items, c.Value)
		}
		s.Value = "[" + strings.Join(items, ", ") + "]"
	case value.ShortTag() == "!!null":
		s.Value = "null"
	default:
		s.Value = value.Value
	}
	return s
}

func (r *reader) axis(key, value *yaml.Node) axis {
	a := axis{key: key.Value}
	if value.Kind != yaml.SequenceNode || len(value.Content) == 0 {
		r.fault(value, "grid: %s: is not a list of values; want [a, b]", key.Value)
		return a
	}
	for _, v := range value.Content {
		s := r.setting(key, v)
		if slices.ContainsFunc(a.values, func(other Setting) bool { return other.Value == s.Value }) {
			r.fault(v, "grid: %s: has %s twice; want each value once", key.Value, s.Value)
		}
		a.values = append(a.values, s)
	}
	return a
}

func (r *reader) variant(n *yaml.Node) (v variant) {
	r.mapping(n, "an element of runs", func(key, value *yaml.Node) {
		switch key.Value {
		case "name":
			v.name = r.text(value, "a name for the run's directory")
		case "set":
			v.sets = r.settings(value, "set")
		default:
			r.unknown(key, "runs: ", []string{"name", "set"})
		}
	})
	if v.name == "" && r.faults == nil {
		r.fault(n, "runs: has no name; want name: and set:")
	}
	return v
}

const (
	mostName = 200 // a file name has 255 bytes at most, and that of the log is longer
	logsDir  = "logs"
)

// maxCells is the largest number of cells, which is more than anyone waits for.
// The number grows fast with the axes of a grid, and every cell is kept in memory
// and checked before the first is trained.
const maxCells = 10000

// cells returns the product of runs and grid. Later settings override earlier
// ones, in the order set, run, grid.
func (r *reader) cells() []Cell {
	runs := r.runs
	if runs == nil {
		name := strings.TrimSuffix(filepath.Base(r.base), filepath.Ext(r.base))
		runs = []variant{{name: name}}
	}
	var names []string
	for _, a := range r.grid {
		names = append(names, a.key)
	}
	n := float64(len(runs))
	for _, a := range r.grid {
		n *= float64(len(a.values))
	}
	if n > maxCells {
		r.faults = append(r.faults, fmt.Errorf("sweep: %s: has %.0f cells; want at most %d", r.file, n, maxCells))
		return nil
	}
	short := shortNames(names)
	var cells []Cell
	for _, run := range runs {
		name := fileName(run.name)
		part := []Cell{{Name: name, Group: name, Base: r.base, Sets: slices.Concat(r.sets, run.sets)}}
		for _, a := range r.grid {
			part = multiply(part, a, short[a.key])
		}
		cells = append(cells, part...)
	}
	seen := map[string]bool{}
	for _, c := range cells {
		if c.Name == "." || c.Name == ".." || c.Name == logsDir || len(c.Name) > mostName {
			r.faults = append(r.faults,
				fmt.Errorf("sweep: %s: a cell is called %s, %d bytes long; want a name for a directory of at most %d bytes, not %s",
					r.file, place.Quote(c.Name), len(c.Name), mostName, place.List([]string{".", "..", logsDir})))
		}
		if seen[c.Name] {
			r.faults = append(r.faults,
				fmt.Errorf("sweep: %s: two cells are called %s; want names of runs and values of the grid that differ", r.file,
					c.Name))
		}
		seen[c.Name] = true
	}
	return cells
}

func multiply(cells []Cell, a axis, short string) (more []Cell) {
	for _, c := range cells {
		for _, v := range a.values {
			part := "-" + short + "=" + fileName(v.Value)
			next := Cell{Name: c.Name + part, Group: c.Group, Base: c.Base, Sets: append(slices.Clone(c.Sets), v)}
			if a.key != "seed" {
				next.Group += part
			}
			more = append(more, next)
		}
	}
	return more
}
