package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/terminal"
	"github.com/lor2c/lor2c/internal/train"
)

type evalOptions struct {
	configFlags
	tasks                    taskOptions
	run, checkpoint, adapter string
	split, views             string
	predictions, device      string
	json                     bool
}

func newEvalCommand() *cobra.Command {
	var o evalOptions
	c := &cobra.Command{
		Use:   "eval (--run DIR | --adapter DIR | --model DIR) [--task NAME]",
		Short: "Evaluate an adapter on data, or a decoder on benchmarks",
		Long: wrap("Eval loads the base model and an adapter and scores a split: each metric with a bootstrap interval, "+
			"what always predicting the most frequent class would score, each class by itself, and the confusion matrix. "+
			"--run takes data and model from a run directory and its best adapter; --adapter evaluates any adapter "+
			"directory, also a LoRA adapter that PEFT wrote, on the data of a run file or of --set. Only the split's own "+
			"files are opened. With --views an adapter of a method that works in several forms is evaluated in each of them: "+
			"a dylora adapter at every rank, and one of the method adapter with robust_drop without the modules of the "+
			"first layers. The base model is loaded once. An adapter is refused if the base model is not the one that it was "+
			"trained on, or if its files do not match their checksums.", "") + "\n\n" +
			wrap("With --task it asks a decoder the questions of MMLU, BBH, DROP or HumanEval, or measures its perplexity on "+
				"a text. --protocol says which harness's prompts and rules it follows: instruct-eval, with which the LoR2C paper "+
				"was evaluated, or lm-eval. Answers and results are written as lm-evaluation-harness writes them; an interrupted "+
				"evaluation continues with the same command. --against compares with another evaluation, question by question. "+
				"HumanEval runs programs that the model writes, in a sandbox, and only with --allow-code-execution.", ""),
		Example: "  lor2c eval --run runs/verdicts --split test --predictions verdicts.tsv\n" +
			"  lor2c eval --run runs/verdicts --json | jq .scores\n" +
			"  lor2c eval -c run.yaml --adapter peft/checkpoint-500\n" +
			"  lor2c eval --run runs/dylora --views all\n" +
			"  lor2c eval --task mmlu --run runs/alpaca --data data/mmlu --limit 20\n" +
			"  lor2c eval --task bbh --model models/llama --data data/bbh --protocol lm-eval\n" +
			"  lor2c eval --task perplexity --model models/llama --data book.txt",
		Annotations: exits(exitDevice, exitMismatch, exitNonFinite, exitLost),
		Args:        noArgs,
		RunE:        func(c *cobra.Command, _ []string) error { return runEval(c, o) },
	}
	o.configFlags.add(c)
	o.tasks.add(c)
	c.Flags().StringVar(&o.run, "run", "", "run directory `DIR` that lor2c train wrote")
	c.Flags().StringVar(&o.checkpoint, "checkpoint", "best", "with --run, checkpoint `NAME`: best, final or checkpoint-N")
	c.Flags().StringVar(&o.adapter, "adapter", "", "adapter directory `DIR`")
	c.Flags().StringVar(&o.split, "split", "dev",
		"split `NAME`: dev or test; mnli also has dev_mismatched and test_mismatched")
	c.Flags().StringVar(&o.views, "views", "",
		"evaluate the forms `LIST` of the method: all, or numbers such as 1,2,8, which are ranks for dylora")
	c.Flags().StringVar(&o.predictions, "predictions", "",
		"write predictions to `FILE`, as GLUE takes them; - is standard output")
	deviceFlag(c, &o.device)
	c.Flags().BoolVar(&o.json, "json", false, "print the scores as one JSON object")
	return c
}

func runEval(c *cobra.Command, o evalOptions) error {
	if err := o.tasks.check(c, o); err != nil {
		return err
	}
	if o.tasks.task != "" {
		return runEvalTask(c, o.tasks, o)
	}
	if err := o.resolve(); err != nil {
		return err
	}
	cfg, err := loadForEval(c, o)
	if err != nil {
		return err
	}
	predictions := o.predictionsOutput()
	if err := predictions.check(append(train.Inputs(cfg), o.file, o.adapter)...); err != nil {
		return err
	}
	if err := o.checkPredictions(cfg); err != nil {
		return err
	}
	dev, err := openTrainer(o.device, cfg.Train.Precision)
	if err != nil {
		return err
	}
	defer dev.Close()
	endsItself(c.Context())
	screen := screenOfStderr()
	list, err := train.EvaluateViews(c.Context(), cfg, dev, o.adapter, o.split, o.views, evaluating(screen, time.Now))
	screen.Close()
	if err != nil {
		return err
	}
	e := list[0]
	for _, f := range e.Findings {
		screen.Print(terminal.Plain, "note: "+f.String(), 2)
	}
	for _, line := range e.Notes {
		screen.Print(terminal.Plain, line, 2)
	}
	// An adapter that is named by itself is often evaluated on other data than its own.
	if line := e.Changed(); o.run != "" && line != "" {
		screen.Print(terminal.Plain, line, 2)
	}
	if o.predictions != "" {
		if err := predictions.write(c, e.WritePredictions); err != nil {
			return err
		}
	}
	return o.print(c, screen, list)
}

// resolve finds the run file and the adapter of a run. It returns an error for flags that do not go together.
func (o *evalOptions) resolve() error {
	if (o.run == "") == (o.adapter == "") {
		return usageError{fmt.Errorf("lor2c: eval: name either --run DIR or --adapter DIR")}
	}
	if o.run != "" && o.file != "" {
		return usageError{fmt.Errorf("lor2c: eval: -c goes with --adapter; --run has its own configuration")}
	}
	if err := checkPaths("--run", o.run, "--adapter", o.adapter); err != nil {
		return err
	}
	if o.run == "" {
		return nil
	}
	dir, err := train.AdapterDir(o.run, o.checkpoint)
	if err != nil {
		return usageError{err}
	}
	o.file, o.adapter = filepath.Join(o.run, train.ConfigFile), dir
	return nil
}

func (o *evalOptions) predictionsOutput() output { return output{"--predictions", o.predictions} }

// checkPredictions returns an error if --predictions does not go with the task or with another flag.
func (o *evalOptions) checkPredictions(cfg *config.Config) error {
	if o.predictions == "" {
		return nil
	}
	if cfg.Data.IsInstruct() {
		return usageError{errors.New("lor2c: eval: --predictions is set, and task instruct has no labels to predict; " +
			"leave it out")}
	}
	if o.json && o.predictionsOutput().toStdout() {
		return usageError{fmt.Errorf("lor2c: eval: --json and --predictions - both write to standard output; " +
			"name a file for one of them")}
	}
	if o.views != "" {
		return usageError{errors.New("lor2c: eval: --predictions has room for one form of the method; leave out --views")}
	}
	return nil
}

// print prints the scores of the forms of the method, which is one without --views. Scores that would be mixed with
// predictions on standard output go to the screen.
func (o *evalOptions) print(c *cobra.Command, screen *terminal.Screen, list []*train.SplitEvaluation) error {
	switch {
	case o.views != "" && o.json:
		return printViewsJSON(c.OutOrStdout(), list)
	case o.views != "":
		printViews(screenOfStdout(c), list)
	case o.json:
		return printJSON(c.OutOrStdout(), list[0])
	case o.predictions != "" && o.predictionsOutput().toStdout():
		printScores(screen, list[0])
	default:
		printScores(screenOfStdout(c), list[0])
	}
	return nil
}

// evaluating returns a function that shows the progress of an evaluation on a
// screen.
func evaluating(screen *terminal.Screen, now func() time.Time) func(done, batches int) {
	start := now()
	return func(done, batches int) {
		eta := ""
		if done == 0 {
			start = now() // the time before was spent on loading
		} else {
			eta = "eta " + terminal.Duration(now().Sub(start)*time.Duration(batches-done)/time.Duration(done))
		}
		screen.Status(done == 0, func(width int) []string {
			return []string{terminal.StatusLine(width, done, batches, []terminal.Part{
				{Text: fmt.Sprintf("evaluating %d/%d", done, batches)}, {Text: eta, Rank: 1}})}
		})
	}
}

// loadForEval reads the configuration. For --run it ignores the environment, because
// the run file in the directory records all settings of the run. For --adapter the keys
// model and out may be missing: the adapter names its base model, and an evaluation
// does not use out.
func loadForEval(c *cobra.Command, o evalOptions) (*config.Config, error) {
	if o.run != "" {
		return config.LoadContext(c.Context(), o.file, o.sets, nil)
	}
	sets := []string{"out=."}
	if o.file == "" {
		saved, err := adapter.Open(o.adapter)
		if err != nil {
			return nil, err
		}
		saved.Close()
		sets = append(sets, "model="+saved.Base.Path)
	}
	return config.LoadContext(c.Context(), o.file, append(sets, o.sets...), os.Environ())
}
