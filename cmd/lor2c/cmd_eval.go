package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/train"
)

type evalOptions struct {
	configFlags
	run, checkpoint, adapter   string
	split, predictions, device string
	json                       bool
}

func newEvalCommand() *cobra.Command {
	var o evalOptions
	c := &cobra.Command{
		Use:   "eval (--run DIR | -c FILE --adapter DIR)",
		Short: "Evaluate an adapter",
		Long: wrap("Eval loads the base model and an adapter and scores a split: each metric with a bootstrap interval, what always "+
			"predicting the most frequent class would score, each class by itself, and the confusion matrix. --run takes data and "+
			"model from a run directory and its best adapter; -c with --adapter evaluates any adapter directory, also a LoRA adapter that PEFT wrote.", ""),
		Example: "  lor2c eval --run runs/verdicts --split test --predictions verdicts.tsv\n" +
			"  lor2c eval --run runs/verdicts --json | jq .scores\n" +
			"  lor2c eval -c run.yaml --adapter peft/checkpoint-500",
		Annotations: exits(exitDevice, exitMismatch, exitNonFinite, exitLost),
		Args:        noArgs,
		RunE:        func(c *cobra.Command, _ []string) error { return runEval(c, o) },
	}
	o.configFlags.add(c)
	c.Flags().StringVar(&o.run, "run", "", "run directory `DIR` that lor2c train wrote")
	c.Flags().StringVar(&o.checkpoint, "checkpoint", "best", "with --run, checkpoint `NAME`: best, final or checkpoint-N")
	c.Flags().StringVar(&o.adapter, "adapter", "", "with -c: adapter directory `DIR`")
	c.Flags().StringVar(&o.split, "split", "dev", "split `NAME`: dev or test; mnli also has dev_mismatched and test_mismatched")
	c.Flags().StringVar(&o.predictions, "predictions", "", "write predictions to `FILE`, as GLUE takes them; - is standard output")
	c.Flags().StringVar(&o.device, "device", "auto", "device `NAME`: auto, cpu, cuda or cuda:N")
	c.Flags().BoolVar(&o.json, "json", false, "print the scores as one JSON object")
	return c
}

func runEval(c *cobra.Command, o evalOptions) error {
	if (o.run == "") == (o.adapter == "") {
		return usageError{fmt.Errorf("lor2c: eval: want either --run DIR or -c FILE with --adapter DIR")}
	}
	if o.run != "" {
		if o.file != "" {
			return usageError{fmt.Errorf("lor2c: eval: -c goes with --adapter; --run has its own configuration")}
		}
		o.file, o.adapter = filepath.Join(o.run, train.ConfigFile), filepath.Join(o.run, o.checkpoint)
	}
	if err := checkPaths("--run", o.run, "--adapter", o.adapter); err != nil {
		return err
	}
	if _, err := os.Stat(o.file); o.run != "" && err != nil {
		return usageError{fmt.Errorf("lor2c: eval: --run is %s, and there is no %s; want a directory that lor2c train wrote", place.Quote(o.run), o.file)}
	}
	cfg, err := loadForEval(c, o)
	if err != nil {
		return err
	}
	predictions := output{"--predictions", o.predictions}
	if err := predictions.check(o.file, cfg.Model, o.adapter, cfg.Data.Train, string(cfg.Data.Dev), cfg.Data.Test); err != nil {
		return err
	}
	if o.json && predictions.toStdout() {
		return usageError{fmt.Errorf("lor2c: eval: --json and --predictions - both write to standard output; want a file for one of them")}
	}
	dev, err := openDevice(o.device, cfg.Train.Precision)
	if err != nil {
		return err
	}
	defer dev.Close()
	e, err := train.Evaluate(c.Context(), cfg, dev, o.adapter, o.split)
	if err != nil {
		return err
	}
	for _, f := range e.Findings {
		fmt.Fprintf(os.Stderr, "note: %s\n", f)
	}
	if o.predictions != "" {
		if err := predictions.write(c, e.WritePredictions); err != nil {
			return err
		}
	}
	if o.json {
		return printJSON(c.OutOrStdout(), e)
	}
	scores := c.OutOrStdout()
	if predictions.toStdout() {
		scores = os.Stderr
	}
	printScores(scores, e)
	return nil
}

// loadForEval reads the configuration; a run directory is not subject to the
// environment, because it says how it was made.
func loadForEval(c *cobra.Command, o evalOptions) (*config.Config, error) {
	if o.run != "" {
		return config.Load(o.file, o.sets, nil)
	}
	return o.load(c)
}
