package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lor2c/lor2c/internal/benchmark"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/evaluate"
	"github.com/lor2c/lor2c/internal/generate"
	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/nearest"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/sandbox"
	"github.com/lor2c/lor2c/internal/terminal"
	"github.com/lor2c/lor2c/internal/train"
)

// perplexityTask is the task of eval that needs a text instead of a benchmark.
const perplexityTask = "perplexity"

// evalTasks are the values of eval --task.
var evalTasks = append(slices.Clone(benchmark.Names), perplexityTask)

// taskOptions are the flags of eval --task.
type taskOptions struct {
	task, model, data, protocol, out, against, precision string
	sandbox                                              string
	shots                                                int
	own, allowCode                                       bool
	settings                                             evaluate.Settings
}

func (o *taskOptions) add(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.task, "task", "", "evaluate a decoder on `NAME`: "+strings.Join(evalTasks, ", "))
	f.StringVar(&o.model, "model", "", "with --task, model directory `DIR`; an adapter names its own")
	f.StringVar(&o.data, "data", "", "with --task, folder `DIR` of the benchmark's files, or the text for perplexity")
	f.StringVar(&o.protocol, "protocol", string(benchmark.InstructEval),
		"with --task, write prompts and score answers as `NAME`: instruct-eval or lm-eval")
	f.IntVar(&o.shots, "shots", -1,
		"with --task, put `N` solved examples before each question; -1 is the number of the protocol")
	f.StringVar(&o.settings.Decode, "decode", evaluate.ByProtocol,
		"with --task, choose tokens by `NAME`: protocol, greedy or generation-config")
	f.IntVar(&o.settings.Samples, "samples", 1, "with --task humaneval, write `N` answers to each problem")
	f.IntVar(&o.settings.Limit, "limit", 0, "with --task, ask the first `N` questions of each task; 0 is all")
	f.Uint64Var(&o.settings.Seed, "seed", 42, "with --task, seed `N` of all random draws")
	f.IntVar(&o.settings.Batch, "batch", 16, "with --task, continue `N` texts at a time")
	f.StringVar(&o.out, "out", "", "with --task, directory `DIR` for answers and results (runs/eval/NAME)")
	f.StringVar(&o.against, "against", "",
		"with --task, also print the difference to the evaluation in `DIR`, with a paired bootstrap")
	f.BoolVar(&o.own, "own-data", false, "with --task, accept files of your own in the form of the benchmark")
	f.BoolVar(&o.allowCode, "allow-code-execution", false,
		"with --task humaneval, run the programs that the model writes, in a sandbox")
	f.StringVar(&o.sandbox, "sandbox", string(sandbox.Kernel),
		"with --task humaneval, let `NAME` hold the programs: kernel, or container, if all of lor2c runs in one that has "+
			"nothing to protect")
	precisionFlag(c, &o.precision, "with --task, ")
	c.RegisterFlagCompletionFunc("task", words(evalTasks...))
	c.RegisterFlagCompletionFunc("protocol", words(string(benchmark.InstructEval), string(benchmark.LMEval)))
	c.RegisterFlagCompletionFunc("decode", words(evaluate.Decodes...))
	c.RegisterFlagCompletionFunc("sandbox", words(string(sandbox.Kernel), string(sandbox.Container)))
}

// taskFlags go with --task, and splitFlags without it.
var (
	taskFlags = []string{
		"model", "data", "protocol", "shots", "decode", "samples", "limit", "seed", "batch", "out", "against", "own-data",
		"allow-code-execution", "sandbox", "precision",
	}
	splitFlags = []string{"split", "predictions", "views", "config", "set"}
)

// check returns an error for flags that do not go together.
func (o taskOptions) check(c *cobra.Command, e evalOptions) error {
	refused, why := splitFlags, "it goes with the splits of a run's data, and --task asks a benchmark"
	if o.task == "" {
		refused, why = taskFlags, "it goes with --task"
	}
	for _, name := range refused {
		if c.Flags().Changed(name) {
			return usageError{fmt.Errorf("lor2c: eval: --%s is set; %s", name, why)}
		}
	}
	if o.task == "" {
		return nil
	}
	if !slices.Contains(evalTasks, o.task) {
		text := fmt.Sprintf("lor2c: eval: --task is %s; want one of %s", place.Quote(o.task), strings.Join(evalTasks, ", "))
		if name, near := nearest.Name(o.task, evalTasks); near {
			text += " (nearest " + name + ")"
		}
		return usageError{errors.New(text)}
	}
	switch {
	case o.data == "":
		return usageError{errors.New("lor2c: eval: --task needs the benchmark's files; name their folder with --data DIR, " +
			"or the text for perplexity with --data FILE")}
	case e.run == "" && e.adapter == "" && o.model == "":
		return usageError{errors.New("lor2c: eval: name a run with --run DIR, a model with --model DIR or an adapter with " +
			"--adapter DIR")}
	case e.run != "" && (e.adapter != "" || o.model != ""):
		return usageError{errors.New("lor2c: eval: --run names model and adapter; leave out --model and --adapter")}
	case o.settings.Batch < 1 || o.settings.Limit < 0:
		return usageError{fmt.Errorf("lor2c: eval: --batch is %d and --limit is %d; want at least 1, and at least 0",
			o.settings.Batch, o.settings.Limit)}
	case o.task == benchmark.NameHumanEval && !o.allowCode:
		return usageError{errors.New("lor2c: eval: humaneval runs programs that the model writes; --allow-code-execution " +
			"permits that, in a sandbox (lor2c doctor says whether this machine has one)")}
	}
	if m := sandbox.Mode(o.sandbox); m != sandbox.Kernel && m != sandbox.Container {
		return usageError{fmt.Errorf("lor2c: eval: --sandbox is %s; want kernel or container", place.Quote(o.sandbox))}
	}
	if err := checkPrecision("eval", o.precision); err != nil {
		return err
	}
	return checkPaths("--run", e.run, "--adapter", e.adapter, "--model", o.model, "--data", o.data, "--out", o.out,
		"--against", o.against)
}

// source returns the model and the adapter to evaluate, and a name for them.
func (o taskOptions) source(ctx context.Context, e evalOptions) (s generate.Source, name string, err error) {
	s = generate.Source{Model: o.model, Adapter: e.adapter}
	switch {
	case e.run != "":
		if s.Adapter, err = train.AdapterDir(e.run, e.checkpoint); err != nil {
			return s, "", usageError{err}
		}
		c, err := config.LoadContext(ctx, filepath.Join(e.run, train.ConfigFile), nil, nil)
		if err != nil {
			return s, "", err
		}
		if !c.Data.IsInstruct() {
			return s, "", usageError{fmt.Errorf("lor2c: eval: %s is the run of an encoder, and --task asks decoders; leave it "+
				"out to score the data of the run", e.run)}
		}
		name = filepath.Base(filepath.Clean(e.run))
	case e.adapter != "":
		dir := filepath.Clean(e.adapter)
		name = filepath.Base(filepath.Dir(dir)) + "-" + filepath.Base(dir)
	default:
		name = filepath.Base(filepath.Clean(o.model))
	}
	return s, name, nil
}

// runEvalTask evaluates a decoder on a benchmark or a text.
func runEvalTask(c *cobra.Command, o taskOptions, e evalOptions) error {
	source, name, err := o.source(c.Context(), e)
	if err != nil {
		return err
	}
	if o.settings.Out = o.out; o.out == "" {
		o.settings.Out = filepath.Join("runs", "eval", name)
	}
	if o.against != "" && filepath.Clean(o.against) == filepath.Clean(o.settings.Out) {
		return usageError{errors.New("lor2c: eval: --against and --out are the same directory; want another evaluation")}
	}
	screen := screenOfStderr()
	defer screen.Close()
	o.settings.Watch = evaluating(screen, time.Now)
	r, d, err := evaluateTask(c.Context(), o, source, e.device)
	screen.Close()
	if err != nil {
		return err
	}
	if e.json {
		return json.NewEncoder(c.OutOrStdout()).Encode(struct {
			*evaluate.Results
			Against *metric.Difference `json:"against,omitempty"`
		}{r, d})
	}
	out := screenOfStdout(c)
	printResults(out, o.task, r, d)
	if note := templateNote(generate.TrainedTemplate(source.Adapter), o.task); note != "" {
		out.Print(terminal.Plain, note, 2)
	}
	return nil
}

// evaluateTask opens everything, answers the questions that have no answer yet, and writes the results.
func evaluateTask(
	ctx context.Context, o taskOptions, source generate.Source, device string,
) (*evaluate.Results, *metric.Difference, error) {
	var set *benchmark.Set
	var err error
	if o.task != perplexityTask {
		set, err = benchmark.Load(o.task, o.data, benchmark.Options{
			Protocol: benchmark.Protocol(o.protocol), Shots: o.shots, Own: o.own,
		})
		if err != nil {
			return nil, nil, err
		}
	}
	if o.task == benchmark.NameHumanEval {
		box, err := sandbox.Open(ctx, sandbox.Mode(o.sandbox))
		if err != nil {
			return nil, nil, fmt.Errorf("%w; no program was run", err)
		}
		o.settings.Execute = box.Run
	}
	texts, err := generate.Open(source)
	if err != nil {
		return nil, nil, err
	}
	defer texts.Close()
	m := evaluate.Model{Tokenizer: texts.Tokenizer, MaxTokens: texts.MaxTokens, Sampling: texts.Sampling}
	if m.Identity, err = texts.Identity(); err != nil {
		return nil, nil, err
	}
	m.Identity["precision"] = o.precision
	var e *evaluate.Evaluation
	if set == nil {
		e, err = evaluate.Perplexity(ctx, o.data, m, o.settings)
	} else {
		e, err = evaluate.Benchmark(set, m, o.settings)
	}
	if err != nil {
		return nil, nil, err
	}
	defer e.Close()
	if e.Done() < e.Total() {
		if err := answer(ctx, e, texts, o, device); err != nil {
			return nil, nil, err
		}
	}
	r, err := e.Finish()
	if err != nil || o.against == "" {
		return r, nil, err
	}
	d, err := e.Compare(o.against)
	if err != nil {
		return nil, nil, usageError{err}
	}
	return r, d, nil
}

// answer loads the model and answers the questions.
func answer(ctx context.Context, e *evaluate.Evaluation, texts *generate.Texts, o taskOptions, device string) error {
	dev, err := openDevice(device, o.precision)
	if err != nil {
		return err
	}
	defer dev.Close()
	if err := e.On(rounding(dev)); err != nil {
		return err
	}
	plan, err := e.Plan(ctx, texts, dev)
	if err != nil {
		return err
	}
	g, err := texts.LoadPlanned(dev, plan, o.settings.Seed)
	if err != nil {
		return err
	}
	endsItself(ctx)
	err = e.Run(ctx, g)
	if errors.Is(err, generate.ErrInterrupted) {
		err = fmt.Errorf("%w; the same command continues", err)
	}
	return err
}
