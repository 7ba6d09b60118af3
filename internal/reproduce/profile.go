package reproduce

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strconv"

	"github.com/lor2c/lor2c/internal/benchmark"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/sweep"
)

// These are the profiles. Paper has the paper's settings on RoBERTa-base and
// GLUE. Mini takes a few minutes with the encoder and the data of the demo, and
// shows that everything works.
const (
	Paper = "paper"
	Mini  = "mini"
)

// demoTask is the only task of the mini profile.
const demoTask = "demo"

// Methods are lor2c's names for the rows of Table I, in their order. The adapters are named after their bottleneck.
var Methods = []string{
	"full", "adapter16", "adapter48", "lora", "adalora", "dylora", "pissa", "lor2c", "sharelor2c", "imlor2c",
}

// profile is what differs between Paper and Mini.
type profile struct {
	model    string              // for captions
	note     string              // written into every table and caption
	tasks    map[string][]string // by target; fig2 and fig7 use the first by default
	seeds    map[string][]uint64 // by target
	parallel int
	largest  int // largest M and I of the grid
	fig2     []sweep.Setting
	sets     []sweep.Setting // those of the user, for all runs
	base     func(method, task string) (file string, sets []sweep.Setting)
}

func profiles(name string) (profile, bool) {
	_, glue := paperTable()
	grid := []string{"cola", "mrpc", "rte", "stsb"} // the tasks of Fig. 6
	one := []uint64{17}
	switch name {
	case Paper:
		return profile{
			model: "RoBERTa-base", parallel: 1, largest: 6,
			tasks: map[string][]string{
				"table1": glue, "fig2": {"mrpc"}, "fig6": grid, "fig7": {"mrpc"}, table2: benchmark.Names,
			},
			seeds: map[string][]uint64{"table1": {17, 18, 19}, "fig2": one, "fig6": one, "fig7": one, table2: {42}},
			// If alpha is the rank, W = B A is not scaled. The paper gives
			// neither alpha nor how W was made.
			fig2: settings("method.rank", 128, "method.alpha", 128, "train.epochs", 50),
			base: func(method, task string) (string, []sweep.Setting) {
				return filepath.Join("configs", "table1", method+"-"+task+".yaml"), nil
			},
		}, true
	case Mini:
		return profile{
			model: "Demo encoder (4 layers of width 128)", parallel: runtime.NumCPU(), largest: 2,
			note: "MINI PROFILE: another model, other data and a few epochs; a check that everything runs, not to be " +
				"compared with the paper.",
			tasks: map[string][]string{"table1": {demoTask}, "fig2": {demoTask}, "fig6": {demoTask}, "fig7": {demoTask},
				table2: benchmark.Names},
			seeds: map[string][]uint64{"table1": {17, 18}, "fig2": one, "fig6": one, "fig7": one, table2: one},
			fig2:  settings("method.rank", 64, "method.alpha", 64, "train.epochs", 6),
			base:  miniBase,
		}, true
	}
	return profile{}, false
}

// miniBase returns the run file and the settings of a method on the data of the
// demo.
func miniBase(method, _ string) (string, []sweep.Setting) {
	// The schedule needs four epochs for two merges and two injections.
	sets := settings("train.epochs", 4)
	switch method {
	case "full":
		sets = append(sets, settings("method.name", "full", "optim.lr", 5e-4, "optim.head_lr_ratio", 1)...)
	case "adapter16":
		sets = append(sets, settings("method.name", "adapter", "method.bottleneck", 16)...)
	case "adapter48":
		sets = append(sets, settings("method.name", "adapter", "method.bottleneck", 48)...)
	case "adalora", "dylora", "lora":
		sets = append(sets, settings("method.name", method)...)
	case "pissa":
		sets = append(sets, settings("method.name", "pissa", "method.alpha", 8, "method.dropout", 0)...)
	case "sharelor2c":
		sets = append(sets, settings("method.share", true)...)
	case "imlor2c":
		sets = append(sets, settings("schedule.max_merges", 1, "schedule.max_injects", 1)...)
	}
	return filepath.Join("configs", "demo.yaml"), sets
}

// settings returns settings of keys and values, which alternate in pairs.
func settings(pairs ...any) (sets []sweep.Setting) {
	for i := 0; i < len(pairs); i += 2 {
		sets = append(sets, sweep.Setting{Key: pairs[i].(string), Value: fmt.Sprint(pairs[i+1])})
	}
	return sets
}

// cell returns the run of a method on a task. Its name contains everything that
// distinguishes it from other runs, so that targets share runs.
func (p profile) cell(o Options, method, task, more string, extra []sweep.Setting, seed uint64) sweep.Cell {
	base, sets := p.base(method, task)
	if o.Model != "" {
		sets = append(sets, sweep.Setting{Key: "model", Value: o.Model})
	}
	if o.Data != "" {
		sets = append(sets, sweep.Setting{Key: "data.dir", Value: o.Data})
	}
	if method == "lora" || method == "lor2c" {
		sets = append(sets, settings("train.log_gradients", true)...) // fig7 shares the runs of table1
	}
	sets = append(sets, extra...)
	sets = append(sets, p.sets...)
	sets = append(sets, sweep.Setting{Key: "seed", Value: strconv.FormatUint(seed, 10)})
	group := method + "-" + task + more
	return sweep.Cell{Name: fmt.Sprintf("%s-seed=%d", group, seed), Group: group, Base: base, Sets: sets}
}

// gridCell returns a cell of the grid. The cell without merges and injections
// is LoR2C.
func (p profile) gridCell(o Options, task string, merges, injects int, seed uint64) sweep.Cell {
	if merges+injects == 0 {
		return p.cell(o, "lor2c", task, "", nil, seed)
	}
	return p.cell(o, "imlor2c", task, fmt.Sprintf("-max_merges=%d-max_injects=%d", merges, injects),
		settings("schedule.max_merges", merges, "schedule.max_injects", injects), seed)
}

// ownCell returns M and I in the run file of a task.
func (p profile) ownCell(task string) (merges, injects int, err error) {
	base, sets := p.base("imlor2c", task)
	args := make([]string, len(sets))
	for i, s := range sets {
		args[i] = s.Key + "=" + s.Value
	}
	c, err := config.Load(base, args, nil)
	if err != nil {
		return 0, 0, err
	}
	return c.Schedule.MaxMerges, c.Schedule.MaxInjects, nil
}
