package reproduce

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/sweep"
)

// atRoot lets run files be found.
func atRoot(t *testing.T) { t.Chdir(filepath.Join("..", "..")) }

func plan(t *testing.T, target string, o Options) *Job {
	t.Helper()
	j, err := Plan(target, o)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// load reads a cell's configuration as the sweep will.
func load(t *testing.T, c sweep.Cell) *config.Config {
	t.Helper()
	sets := []string{"out=x"}
	for _, s := range c.Sets {
		sets = append(sets, s.Key+"="+s.Value)
	}
	cfg, err := config.Load(c.Base, sets, nil)
	if err != nil {
		t.Fatalf("%s: %v", c.Name, err)
	}
	return cfg
}

// TestPlan counts the runs of each target and loads all of them.
func TestPlan(t *testing.T) {
	atRoot(t)
	for _, tt := range []struct {
		name, target string
		o            Options
		cells        int
	}{
		{"table1", "table1", Options{Profile: Paper}, 10 * 6 * 3},
		{"one", "table1", Options{Profile: Paper, Tasks: []string{"rte"}, Methods: []string{"imlor2c"}, Seeds: []uint64{1}},
			1},
		// LoR2C is the cell without merges and injections.
		{"grid", "table1",
			Options{Profile: Paper, Tasks: []string{"rte"}, Methods: []string{"lor2c", "imlor2c"}, Seeds: []uint64{1},
				Grid: true}, 49},
		{"fig2", "fig2", Options{Profile: Paper}, 1},
		{"fig6", "fig6", Options{Profile: Paper}, 4 * 49},
		{"small fig6", "fig6", Options{Profile: Paper, Largest: 3, Tasks: []string{"rte"}}, 16},
		{"fig7", "fig7", Options{Profile: Paper}, 2},
		{"mini table1", "table1", Options{Profile: Mini}, 10 * 2},
		{"mini fig2", "fig2", Options{Profile: Mini}, 1},
		{"mini fig6", "fig6", Options{Profile: Mini}, 9},
		{"mini fig7", "fig7", Options{Profile: Mini}, 2},
	} {
		t.Run("case="+tt.name, func(t *testing.T) {
			j := plan(t, tt.target, tt.o)
			names := map[string]bool{}
			for _, c := range j.Cells {
				names[c.Name] = true
				load(t, c)
			}
			if len(j.Cells) != tt.cells || len(names) != tt.cells {
				t.Errorf("%d cells with %d names, want %d", len(j.Cells), len(names), tt.cells)
			}
		})
	}
}

// TestCells compares the runs with section IV of the paper.
func TestCells(t *testing.T) {
	atRoot(t)
	o := Options{Profile: Paper, Tasks: []string{"mrpc"}, Seeds: []uint64{5}, Model: "m", Data: "d"}
	c := load(t, plan(t, "fig2", o).Cells[0])
	if c.Method.Rank() != 128 || c.Train.Epochs != 50 || c.Train.BatchSize != 64 || c.Optim.LR != 4e-4 ||
		c.Data.MaxLength != 256 || c.Method.Value("alpha") != 128.0 {
		t.Errorf("fig2 runs %+v", c)
	}
	if c.Seed != 5 || c.Model != "m" || c.Data.Dir != "d" || c.Data.Task != "mrpc" {
		t.Errorf("options are lost: %+v", c)
	}
	for i, method := range []string{"lor2c", "lora"} {
		if c := load(t, plan(t, "fig7", o).Cells[i]); c.Method.Name() != method || !c.Train.LogGradients ||
			c.Schedule.Active() {
			t.Errorf("fig7 runs %+v", c)
		}
	}
	points := map[[2]int]bool{}
	for _, cell := range plan(t, "fig6", o).Cells {
		c := load(t, cell)
		points[[2]int{c.Schedule.MaxMerges, c.Schedule.MaxInjects}] = true
		if c.Method.Name() != "lor2c" || c.Train.Epochs != 30 {
			t.Errorf("%s runs %+v", cell.Name, c)
		}
	}
	if len(points) != 49 || !points[[2]int{6, 6}] || !points[[2]int{0, 0}] {
		t.Errorf("fig6 has %d cells", len(points))
	}
	// The best cell that the paper names for MRPC, under the grid's own name.
	o.Methods = []string{"imlor2c"}
	if got := plan(t, "table1", o).Cells[0].Name; got != "imlor2c-mrpc-max_merges=1-max_injects=4-seed=5" {
		t.Errorf("table1 runs %s", got)
	}
}

// TestSets checks that settings of the user replace those of the run files and of the target, and that every output
// says so.
func TestSets(t *testing.T) {
	atRoot(t)
	o := Options{Profile: Paper, Tasks: []string{"mrpc"}, Sets: []string{"train.epochs=7", "optim.lr=2e-3"}}
	for _, target := range []string{"table1", "fig2", "fig6", "fig7"} {
		j := plan(t, target, o)
		for _, cell := range j.Cells {
			if c := load(t, cell); c.Train.Epochs != 7 || c.Optim.LR != 2e-3 {
				t.Errorf("%s runs %s with %d epochs at %g", target, cell.Name, c.Train.Epochs, c.Optim.LR)
			}
		}
		want := "Settings that differ from the run files: train.epochs=7, optim.lr=2e-3."
		if note := j.source("").Note; note != want {
			t.Errorf("%s: the figure's note is %q", target, note)
		}
		if note := j.source("First.").Note; note != "First. "+want {
			t.Errorf("%s: the figure's note is %q", target, note)
		}
		if notes := j.notes(); notes[len(notes)-1] != want {
			t.Errorf("%s: the table's notes are %q", target, notes)
		}
	}
	o = Options{Profile: Mini, Sets: []string{"train.epochs=7"}}
	j := plan(t, table2, o)
	for _, cell := range j.Cells {
		if c := load(t, cell); c.Train.Epochs != 7 {
			t.Errorf("table2 runs %s with %d epochs", cell.Name, c.Train.Epochs)
		}
	}
	if notes := j.notes2(); notes[len(notes)-1] != "Settings that differ from the run files: train.epochs=7." {
		t.Errorf("table2: the notes are %q", notes)
	}
}

func TestPlanFaults(t *testing.T) {
	for want, c := range map[string]struct {
		target string
		o      Options
	}{
		`--profile is "big"; want paper or mini`:                         {"table1", Options{Profile: "big"}},
		`no target "fig3"; want one of table1, table2, fig2, fig6, fig7`: {"fig3", Options{Profile: Mini}},
		`--tasks has "mrcp"; want some of sst2, mrpc, cola, qnli, rte`: {"table1",
			Options{Profile: Paper, Tasks: []string{"mrcp"}}},
		`--tasks has "mrpc"; want some of demo`: {"table1",
			Options{Profile: Mini, Tasks: []string{"mrpc"}}},
		`--methods has "vera"; want some of full, adapter16`: {"table1",
			Options{Profile: Paper, Methods: []string{"vera"}}},
		`--methods is for tables and --grid for table1; fig6 has its own`: {"fig6", Options{Profile: Paper, Grid: true}},
		`fig7 shows one task, --tasks has 2; want one`: {"fig7",
			Options{Profile: Paper, Tasks: []string{"mrpc", "rte"}}},
		`--model and --data are for --profile paper; mini has its own`: {"fig7", Options{Profile: Mini, Model: "m"}},
		`--largest is for fig6 and for table1 with --grid; fig7 has no grid`: {"fig7",
			Options{Profile: Paper, Largest: 2}},
		`--set has "train.epochs"; want KEY=VALUE`: {"fig7", Options{Profile: Paper, Sets: []string{"train.epochs"}}},
		`--set has seed, which differs from run to run; use --seeds`: {"fig7",
			Options{Profile: Paper, Sets: []string{"seed=3"}}},
	} {
		t.Run("want="+want, func(t *testing.T) {
			if _, err := Plan(c.target, c.o); err == nil || !strings.HasPrefix(err.Error(), "reproduce: "+want) {
				t.Errorf("got %v", err)
			}
		})
	}
}
