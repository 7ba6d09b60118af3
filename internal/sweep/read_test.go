package sweep

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lor2c/lor2c/internal/config"
)

// write writes a sweep file and returns its path.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s.yaml")
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// describe writes what a cell is on one line.
func describe(c Cell) string {
	return c.Name + " (" + c.Group + ") " + c.Base + ": " + strings.Join(c.args(), " ")
}

func TestCells(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"base", `{base: c/demo.yaml, out: o}`, `
demo (demo) c/demo.yaml: `},
		{"grid", `
base: c/lor2c.yaml
out: o
set: {train.epochs: 4, method.target_modules: [query, value]}
grid:
  schedule.max_merges: [0, 2]
  seed: [1, 3]
`, `
lor2c-max_merges=0-seed=1 (lor2c-max_merges=0) c/lor2c.yaml: train.epochs=4 method.target_modules=[query, value] schedule.max_merges=0 seed=1
lor2c-max_merges=0-seed=3 (lor2c-max_merges=0) c/lor2c.yaml: train.epochs=4 method.target_modules=[query, value] schedule.max_merges=0 seed=3
lor2c-max_merges=2-seed=1 (lor2c-max_merges=2) c/lor2c.yaml: train.epochs=4 method.target_modules=[query, value] schedule.max_merges=2 seed=1
lor2c-max_merges=2-seed=3 (lor2c-max_merges=2) c/lor2c.yaml: train.epochs=4 method.target_modules=[query, value] schedule.max_merges=2 seed=3`},
		{"runs", `
base: b.yaml
out: o
grid: {seed: [1, 2], optim.lr: [1.0e-3]}
runs:
  - {name: a b, set: {method.name: lora, method.dropout: null}}
  - {name: head}
`, `
a_b-seed=1-lr=1.0e-3 (a_b-lr=1.0e-3) b.yaml: method.name=lora method.dropout=null seed=1 optim.lr=1.0e-3
a_b-seed=2-lr=1.0e-3 (a_b-lr=1.0e-3) b.yaml: method.name=lora method.dropout=null seed=2 optim.lr=1.0e-3
head-seed=1-lr=1.0e-3 (head-lr=1.0e-3) b.yaml: seed=1 optim.lr=1.0e-3
head-seed=2-lr=1.0e-3 (head-lr=1.0e-3) b.yaml: seed=2 optim.lr=1.0e-3`},
		// Keys need not exist to be told apart.
		{"values", `{base: b.yaml, out: o, grid: {a.x: [[query, value], models/x y], c.x: [1]}}`, `
b-a.x=query+value-c.x=1 (b-a.x=query+value-c.x=1) b.yaml: a.x=[query, value] c.x=1
b-a.x=models_x_y-c.x=1 (b-a.x=models_x_y-c.x=1) b.yaml: a.x=models/x y c.x=1`},
	} {
		t.Run("case="+tt.name, func(t *testing.T) {
			s, err := Read(write(t, tt.text))
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, c := range s.Cells {
				got += "\n" + describe(c)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}

// TestReadFaults checks that all faults of a file are reported together. FILE
// stands for its path.
func TestReadFaults(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"empty", ``, `sweep: FILE: is empty; want the keys base, set, grid, runs, out, parallel`},
		{"syntax", "base: [", `sweep: FILE: is not YAML: line 1: did not find expected node content`},
		{"path", "base: ./b\nout: ~ann/runs\n",
			`sweep: FILE:2:6: begins with "~ann", which only a shell expands; want the path written out`},
		{"many", "base: b\nout: o\ngrid: {seed: [" + numbers(200) + "], method.rank: [" + numbers(200) + "]}\n",
			`sweep: FILE: has 40000 cells; want at most 10000`},
		{"list", "[1]", `sweep: FILE:1:1: a sweep file is not a mapping; want key: value`},
		{"no base", "out: o", `sweep: FILE:1:1: base: is not given; want a run file`},
		{"keys", "bse: x\nparallel: 0\nout:\nset: {optim: {lr: 1}, out: x}", `
sweep: FILE:1:1: bse: unknown key; did you mean base?
sweep: FILE:2:11: parallel: is "0"; want the number of cells that run at the same time, 1 or more
sweep: FILE:3:5: is empty or not a plain value; want the directory to write to
sweep: FILE:4:7: optim: is a mapping; want keys with dots, such as optim.lr: 1e-3
sweep: FILE:4:23: out: is set by the sweep to a directory for each cell; leave it out`},
		{"grid", "base: b\nout: o\ngrid:\n  seed: 3\n  optim.lr: [1, 1]\n  optim.lr: [2]\n", `
sweep: FILE:4:9: grid: seed: is not a list of values; want [a, b]
sweep: FILE:5:17: grid: optim.lr: has 1 twice; want each value once
sweep: FILE:6:3: optim.lr: is given twice; want it once`},
		{"runs", "base: b\nout: o\nruns:\n  - {nmae: x}\n", `sweep: FILE:4:6: runs: nmae: unknown key; did you mean name?`},
		{"unnamed", "base: b\nout: o\nruns:\n  - set: {seed: 1}\n",
			`sweep: FILE:4:5: runs: has no name; want name: and set:`},
		{"directories", "base: b\nout: o\nruns: [{name: ..}, {name: logs}, {name: " + strings.Repeat("n", 5000) + "}]\n", `
sweep: FILE: a cell is called "..", 2 bytes long; want a name for a directory of at most 200 bytes, not ., .., logs
sweep: FILE: a cell is called "logs", 4 bytes long; want a name for a directory of at most 200 bytes, not ., .., logs
sweep: FILE: a cell is called "` + strings.Repeat("n", 60) + `"..., 5000 bytes long; want a name for a directory of at most 200 bytes, not ., .., logs`},
		{"names", "base: b\nout: o\nruns: [{name: a b}, {name: a/b}]\n",
			`sweep: FILE: two cells are called a_b; want names of runs and values of the grid that differ`},
	} {
		t.Run("case="+tt.name, func(t *testing.T) {
			file := write(t, tt.text)
			_, err := Read(file)
			if err == nil {
				t.Fatal("no error")
			}
			want := strings.TrimPrefix(strings.ReplaceAll(tt.want, "FILE", file), "\n")
			if d := cmp.Diff(want, err.Error()); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
	if _, err := Read("none.yaml"); err == nil ||
		err.Error() != "sweep: read none.yaml: no such file or directory; want a sweep file in YAML" {
		t.Errorf("a missing file: %v", err)
	}
}

// TestShippedFiles reads every sweep file of the repository and loads its cells.
// The models and data that they name need not exist.
func TestShippedFiles(t *testing.T) {
	t.Chdir(filepath.Join("..", ".."))
	files, err := filepath.Glob("bench/sweeps/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("found %d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run("file="+file, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil || !strings.Contains(string(text), "\n#   lor2c sweep -c "+file+"\n") {
				t.Errorf("the file does not say how to run it (%v)", err)
			}
			s, err := Read(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range s.Cells {
				if _, err := config.Load(c.Base, c.args(), nil); err != nil {
					t.Errorf("%s: %v", c.Name, err)
				}
			}
		})
	}
}

// numbers lists 1 to n.
func numbers(n int) string {
	var list []string
	for i := range n {
		list = append(list, strconv.Itoa(i+1))
	}
	return strings.Join(list, ",")
}
