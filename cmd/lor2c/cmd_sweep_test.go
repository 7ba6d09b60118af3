package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sweepFile writes a sweep file over a few rows of the demo with additional
// lines.
func sweepFile(t *testing.T, more string) (file, out string) {
	t.Helper()
	dir := t.TempDir()
	file, out = filepath.Join(dir, "s.yaml"), filepath.Join(dir, "out")
	text := "base: configs/demo.yaml\nout: " + out + "\nset:\n  train.batch_size: 8\n"
	args := short(t, out)
	for _, a := range args {
		if key, value, ok := strings.Cut(a, "="); ok && strings.HasPrefix(key, "data.") {
			text += "  " + key + ": " + value + "\n"
		}
	}
	if err := os.WriteFile(file, []byte(text+more), 0o666); err != nil {
		t.Fatal(err)
	}
	return file, out
}

// TestSweep runs a sweep with a cell that diverges, as a user would.
func TestSweep(t *testing.T) {
	file, out := sweepFile(t, "  train.epochs: 1\ngrid: {optim.lr: [1.0e-3, 1.0e+30]}\n")
	r := run(t, "sweep", "-c", file)
	if r.code != exitCells || !strings.Contains(r.stderr, "1 of 2 cells failed") ||
		!strings.Contains(r.stderr, "demo-lr=1.0e+30: exit code 5") {
		t.Errorf("exit code %d, stderr %q", r.code, r.stderr)
	}
	if !strings.Contains(r.stdout, "| demo-lr=1.0e-3 | custom | accuracy | 1 |") ||
		!strings.Contains(r.stdout, "Without results: demo-lr=1.0e+30.") {
		t.Errorf("stdout %q", r.stdout)
	}
	for _, name := range []string{"summary.md", "summary.csv", "summary.json", "logs/demo-lr=1.0e-3.log",
		"demo-lr=1.0e-3/best/adapter_model.safetensors"} {
		if _, err := os.Stat(filepath.Join(out, name)); err != nil {
			t.Error(err)
		}
	}
}

// TestSweepMistakes checks the exit codes and messages that the help describes.
func TestSweepMistakes(t *testing.T) {
	file, _ := sweepFile(t, "  optim.lrr: 1\n")
	narrow, _ := sweepFile(t, "  train.precision: bfloat16\n")
	for i, tt := range []struct {
		args string
		code int
		want string
	}{
		{"sweep --help", 0, ""},
		{"reproduce --help", 0, ""},
		{"sweep", exitUsage, "no sweep file is named; name one with -c FILE"},
		{"sweep -c none.yaml", exitUsage, "sweep: read none.yaml: no such file or directory"},
		{"sweep -c " + file, exitUsage, "optim.lrr: unknown key; did you mean optim.lr?"},
		{"sweep -c " + narrow, exitDevice, "the precision is bfloat16, and the CPU computes in float32"},
		{"sweep --parallel -1 -c " + file, exitUsage,
			"sweep: parallel: is -1; want the number of cells that run at the same time, 1 or more"},
		{"sweep --parallel 0 -c " + file, exitUsage,
			"sweep: parallel: is 0; want the number of cells that run at the same time, 1 or more"},
		{"reproduce fig2 --profile mini --parallel -2", exitUsage, "lor2c: reproduce: --parallel is -2; want at least 1"},
		{"reproduce fig2 --profile mini --parallel 0", exitUsage, "lor2c: reproduce: --parallel is 0; want at least 1"},
		{"reproduce", exitUsage, "0 targets named; want one of table1, table2, fig2, fig6, fig7"},
		{"reproduce fig3", exitUsage, `no target "fig3"`},
		{"reproduce fig7 --model none --data none", exitUsage, "no data files"},
		{"reproduce fig7", exitUsage, "name them with --model DIR and --data DIR"},
		{"reproduce fig2 --seeds x", exitUsage, `--seeds is "x"; want whole numbers such as 1,2,3`},
	} {
		t.Run(fmt.Sprintf("case=%d", i), func(t *testing.T) {
			r := run(t, strings.Fields(tt.args)...)
			if r.code != tt.code || !strings.Contains(r.stderr, tt.want) {
				t.Errorf("%s: exit code %d, stderr %q; want %d and %q", tt.args, r.code, r.stderr, tt.code, tt.want)
			}
			if tt.code == 0 && !strings.Contains(r.stdout, "  6      cells of a sweep failed") {
				t.Errorf("%s: stdout %q", tt.args, r.stdout)
			}
		})
	}
}
