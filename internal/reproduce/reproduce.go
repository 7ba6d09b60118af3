// Package reproduce runs the experiments of the LoR2C paper (arXiv:2503.00572)
// and compares their results with the paper's tables I and II and figures 2, 6 and 7.
// It plans the runs as a sweep and writes tables and figures from their run
// directories.
package reproduce

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/sweep"
)

// Targets are the tables and figures that can be reproduced.
var Targets = []string{"table1", "table2", "fig2", "fig6", "fig7"}

// Options is what to run. An empty field means the value of the profile.
type Options struct {
	Profile string // Paper or Mini
	Tasks   []string
	Methods []string // of table1 or table2
	Seeds   []uint64
	Model   string // Hugging Face directory, instead of the run files'
	Data    string // folder with GLUE's tasks, instead of the run files'
	Grid    bool   // table1: IMLoR2C over the whole grid, as the paper
	Largest int    // largest number of merges and of injections of the grid
	// Sets are settings KEY=VALUE that replace those of all run files.
	Sets []string
	Out  string
	// AllowCode lets table2 ask HumanEval, which runs programs that the models write.
	AllowCode bool
	// Parallel is the number of runs at the same time.
	Parallel int
}

// Job is a target with its runs. Some of them may be done already.
type Job struct {
	*sweep.Sweep
	target  string
	o       Options
	profile profile
	grids   map[string][]gridPoint // cells of IMLoR2C, by task
	answers []answered             // table2
}

// owned has the keys that a target sets itself, with what a user wants instead of --set.
var owned = map[string]string{
	"seed":                 "use --seeds",
	"model":                "use --model",
	"data.dir":             "use --data",
	"data.task":            "use --tasks",
	"out":                  "use --out",
	"method.name":          "use --methods",
	"schedule.max_merges":  "use --largest with fig6",
	"schedule.max_injects": "use --largest with fig6",
}

// gridPoint is a cell of the grid, over all seeds.
type gridPoint struct {
	group           string // its group in the sweep
	merges, injects int
}

// Plan returns the runs that a target needs. The caller must check them with
// Check.
func Plan(target string, o Options) (*Job, error) {
	p, ok := profiles(o.Profile)
	if !ok {
		return nil, fmt.Errorf("reproduce: --profile is %q; want %s or %s", o.Profile, Paper, Mini)
	}
	if !slices.Contains(Targets, target) {
		return nil, fmt.Errorf("reproduce: no target %q; want one of %s", target, strings.Join(Targets, ", "))
	}
	j := &Job{target: target, o: o, profile: p, grids: map[string][]gridPoint{}}
	if err := j.complete(); err != nil {
		return nil, err
	}
	j.Sweep = &sweep.Sweep{Out: filepath.Join(j.o.Out, "runs"), Parallel: j.o.Parallel}
	if target == table2 {
		return j, j.planTable2()
	}
	for _, task := range j.o.Tasks {
		for _, seed := range j.o.Seeds {
			if err := j.plan(task, seed); err != nil {
				return nil, err
			}
		}
	}
	return j, nil
}

// complete fills empty options with those of the profile and returns an error
// for wrong options.
func (j *Job) complete() error {
	o := &j.o
	if o.Profile == Mini && o.Model+o.Data != "" {
		return fmt.Errorf("reproduce: --model and --data are for --profile %s; %s has its own", Paper, Mini)
	}
	if isTable := j.target == "table1" || j.target == table2; !isTable && o.Methods != nil ||
		j.target != "table1" && o.Grid {
		return fmt.Errorf("reproduce: --methods is for tables and --grid for table1; %s has its own", j.target)
	}
	known, methods := j.profile.tasks["table1"], Methods
	if j.target == table2 {
		known, methods = j.profile.tasks[table2], Methods2
	}
	for _, t := range o.Tasks {
		if !slices.Contains(known, t) {
			return fmt.Errorf("reproduce: --tasks has %q; want some of %s", t, strings.Join(known, ", "))
		}
	}
	for _, m := range o.Methods {
		if !slices.Contains(methods, m) {
			return fmt.Errorf("reproduce: --methods has %q; want some of %s", m, strings.Join(methods, ", "))
		}
	}
	if j.target == table2 {
		if err := o.permit(); err != nil {
			return err
		}
	}
	if o.Tasks == nil {
		o.Tasks = j.profile.tasks[j.target]
	}
	if len(o.Tasks) > 1 && (j.target == "fig2" || j.target == "fig7") {
		return fmt.Errorf("reproduce: %s shows one task, --tasks has %d; want one", j.target, len(o.Tasks))
	}
	if o.Methods == nil {
		o.Methods = methods
	}
	if o.Seeds == nil {
		o.Seeds = j.profile.seeds[j.target]
	}
	if o.Out == "" {
		o.Out = filepath.Join("runs", "reproduce")
		if o.Profile == Mini {
			o.Out += "-" + Mini
		}
	}
	if o.Model != "" {
		j.profile.model = filepath.Base(o.Model)
	}
	if o.Largest != 0 {
		if j.target != "fig6" && !o.Grid {
			return fmt.Errorf("reproduce: --largest is for fig6 and for table1 with --grid; %s has no grid", j.target)
		}
		j.profile.largest = o.Largest
	}
	for _, s := range o.Sets {
		key, value, ok := strings.Cut(s, "=")
		if !ok {
			return fmt.Errorf("reproduce: --set has %q; want KEY=VALUE", s)
		}
		if instead, ok := owned[key]; ok {
			return fmt.Errorf("reproduce: --set has %s, which differs from run to run; %s", key, instead)
		}
		j.profile.sets = append(j.profile.sets, sweep.Setting{Key: key, Value: value})
	}
	if o.Parallel == 0 {
		o.Parallel = j.profile.parallel
	}
	return nil
}

// plan adds the runs of one task and seed.
func (j *Job) plan(task string, seed uint64) error {
	add := func(method, more string, extra []sweep.Setting) {
		j.Cells = append(j.Cells, j.profile.cell(j.o, method, task, more, extra, seed))
	}
	switch j.target {
	case "fig2":
		add("lor2c", "-fig2", j.profile.fig2)
	case "fig7":
		add("lor2c", "", nil)
		add("lora", "", nil)
	case "fig6":
		j.planGrid(task, seed)
	case "table1":
		for _, m := range j.o.Methods {
			switch {
			case m != "imlor2c":
				add(m, "", nil)
			case j.o.Grid:
				j.planGrid(task, seed)
			default:
				merges, injects, err := j.profile.ownCell(task)
				if err != nil {
					return err
				}
				j.planPoint(task, merges, injects, seed)
			}
		}
	}
	return nil
}

func (j *Job) planGrid(task string, seed uint64) {
	for injects := range j.profile.largest + 1 {
		for merges := range j.profile.largest + 1 {
			j.planPoint(task, merges, injects, seed)
		}
	}
}

// planPoint adds a cell of the grid. The cell without merges and injections may
// already be in the table as LoR2C.
func (j *Job) planPoint(task string, merges, injects int, seed uint64) {
	c := j.profile.gridCell(j.o, task, merges, injects, seed)
	if !slices.ContainsFunc(j.Cells, func(other sweep.Cell) bool { return other.Name == c.Name }) {
		j.Cells = append(j.Cells, c)
	}
	if point := (gridPoint{c.Group, merges, injects}); !slices.Contains(j.grids[task], point) {
		j.grids[task] = append(j.grids[task], point)
	}
}

// Write writes the files of the target from the runs that are done and returns
// their paths.
func (j *Job) Write() ([]string, error) {
	sum, err := j.Summary()
	if err != nil {
		return nil, err
	}
	switch j.target {
	case "table1":
		return j.table(sum).write(j.o.Out)
	case table2:
		return j.table2(sum).write(j.o.Out)
	case "fig2":
		return j.fig2()
	case "fig6":
		return j.fig6(sum)
	default:
		return j.fig7()
	}
}
