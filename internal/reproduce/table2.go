package reproduce

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/lor2c/lor2c/internal/benchmark"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/sweep"
)

const table2 = "table2"

// Methods2 are lor2c's names for the rows of Table II, in their order, and for ShareLoR2C, which the paper does not
// have there.
var Methods2 = []string{"base", "full", "lora", "qlora", "adalora", "lor2c", "sharelor2c", "imlor2c"}

// reference is the method to which the others are compared question by question.
const reference = "lora"

// Asked is a model that is asked a benchmark.
type Asked struct {
	Run     string // run directory; "" for the model without fine-tuning
	Model   string // the model without fine-tuning; "" with Run
	Task    string
	Data    string
	Own     bool   // the benchmark's files are our own
	Out     string // directory of the answers
	Against string // directory of other answers to compare with; "" for none
}

// Score is the score of a model in a benchmark.
type Score struct {
	Title      string             `json:"title"`
	Metric     string             `json:"metric"`
	Value      metric.Number      `json:"value"`
	StdErr     metric.Number      `json:"stderr"`
	N          int                `json:"n"`
	Difference *metric.Difference `json:"difference_to_lora,omitempty"`
}

// answered is the score of a method with a seed.
type answered struct {
	method string
	seed   uint64
	task   string
	score  *Score
}

// permit leaves HumanEval out unless its programs may run.
func (o *Options) permit() error {
	if o.AllowCode {
		return nil
	}
	if slices.Contains(o.Tasks, benchmark.NameHumanEval) {
		return errors.New("reproduce: humaneval runs programs that the models write; --allow-code-execution permits that")
	}
	if o.Tasks == nil {
		o.Tasks = slices.DeleteFunc(slices.Clone(benchmark.Names), func(t string) bool {
			return t == benchmark.NameHumanEval
		})
	}
	return nil
}

// planTable2 adds a run for each method and seed, and reads the benchmarks, so that a fault in their files is found
// before anything is trained.
func (j *Job) planTable2() error {
	data, own := j.benchmarks()
	for _, task := range j.o.Tasks {
		o := benchmark.Options{Protocol: benchmark.InstructEval, Shots: -1, Own: own}
		if _, err := benchmark.Load(task, data, o); err != nil {
			return err
		}
	}
	for _, m := range j.o.Methods {
		if m == "base" {
			continue
		}
		base, sets := j.runFile(m)
		for _, seed := range j.o.Seeds {
			group := table2 + "-" + m
			j.Cells = append(j.Cells, sweep.Cell{
				Name: cellName(m, seed), Group: group, Base: base,
				Sets: slices.Concat(sets, j.profile.sets, settings("seed", seed)),
			})
		}
	}
	return nil
}

func cellName(method string, seed uint64) string {
	return fmt.Sprintf("%s-%s-seed=%d", table2, method, seed)
}

// benchmarks returns the folder of the benchmarks' files.
func (j *Job) benchmarks() (data string, own bool) {
	switch {
	case j.o.Profile == Mini:
		return filepath.Join("demo", "benchmarks"), true
	case j.o.Data != "":
		return j.o.Data, false
	}
	return "data", false
}

// runFile returns the run file of a method of Table II and the settings that replace some of its own.
func (j *Job) runFile(method string) (file string, sets []sweep.Setting) {
	if j.o.Profile == Paper {
		if j.o.Model != "" {
			sets = append(sets, settings("model", j.o.Model)...)
		}
		if j.o.Data != "" {
			sets = append(sets, settings("data.train", filepath.Join(j.o.Data, "alpaca", "alpaca_data_cleaned.json"))...)
		}
		return filepath.Join("configs", table2, method+".yaml"), sets
	}
	sets = settings("train.epochs", 4)
	switch method {
	case "full":
		sets = append(sets, settings("method.name", "full", "optim.lr", 1e-3)...)
	case "lora", "qlora", "adalora":
		name := method
		if method == "qlora" {
			name = "lora"
			sets = append(sets, settings("train.quantize", config.QuantizeNF4)...)
		}
		sets = append(sets, settings("method.name", name, "method.target_modules", "[q_proj, v_proj]")...)
	case "sharelor2c":
		sets = append(sets, settings("method.share", true)...)
	case "imlor2c":
		sets = append(sets, settings("schedule.max_merges", 1, "schedule.max_injects", 1, "schedule.timing", "steps",
			// Of the demo's linear layers these have as many parameters as the module that they replace.
			"method.target_modules", "[q_proj, o_proj]")...)
	}
	return filepath.Join("configs", "demo-decoder.yaml"), sets
}

// Ask scores every run that is done, and the model without fine-tuning, on the benchmarks of Table II. ask scores one
// model and keeps its answers, so that a second call does not compute them again. It does nothing for other targets.
func (j *Job) Ask(ctx context.Context, ask func(context.Context, Asked) (*Score, error)) error {
	if j.target != table2 {
		return nil
	}
	done := map[string]bool{}
	sum, err := j.Summary()
	if err != nil {
		return err
	}
	for _, c := range j.Cells {
		done[c.Name] = !slices.Contains(sum.Failed, c.Name)
	}
	type place struct {
		asked Asked
		answered
	}
	var places []place
	for _, m := range j.o.Methods {
		for _, seed := range j.o.Seeds {
			for _, task := range j.o.Tasks {
				a, ok, err := j.asked(m, seed, task, done)
				if err != nil {
					return err
				}
				if ok {
					places = append(places, place{a, answered{method: m, seed: seed, task: task}})
				}
			}
			if m == "base" {
				break // the same for every seed
			}
		}
	}
	for i := range places {
		if places[i].score, err = ask(ctx, places[i].asked); err != nil {
			return err
		}
	}
	// All answers are there, so each can be compared with those of LoRA.
	for _, p := range places {
		if a, ok, _ := j.asked(reference, p.seed, p.task, done); ok && p.method != reference {
			p.asked.Against = a.Out
			if p.score, err = ask(ctx, p.asked); err != nil {
				return err
			}
		}
		j.answers = append(j.answers, p.answered)
	}
	return nil
}

// asked returns what to ask of a method, or false if its run has no results.
func (j *Job) asked(method string, seed uint64, task string, done map[string]bool) (a Asked, ok bool, err error) {
	a.Task = task
	a.Data, a.Own = j.benchmarks()
	if method == "base" {
		file, sets := j.runFile(method)
		args := []string{"out=."}
		for _, s := range sets {
			args = append(args, s.Key+"="+s.Value)
		}
		c, err := config.Load(file, args, nil)
		if err != nil {
			return a, false, err
		}
		a.Model, a.Out = c.Model, filepath.Join(j.o.Out, "eval", table2+"-base")
		return a, true, nil
	}
	name := cellName(method, seed)
	a.Run, a.Out = filepath.Join(j.Sweep.Out, name), filepath.Join(j.o.Out, "eval", name)
	return a, done[name], nil
}
