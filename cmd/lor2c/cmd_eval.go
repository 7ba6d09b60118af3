package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/lor2c/lor2c/internal/config"
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
		Long: "Eval loads the base model and an adapter and scores a split: each metric with a bootstrap interval, what always\n" +
			"predicting the most frequent class would score, each class by itself, and the confusion matrix. --run takes\n" +
			"data and model from a run directory and its best adapter; -c with --adapter evaluates any adapter directory,\n" +
			"also a LoRA adapter that PEFT wrote.\n" + exitHelp,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runEval(c, o) },
	}
	o.configFlags.add(c)
	c.Flags().StringVar(&o.run, "run", "", "run directory that lor2c train wrote")
	c.Flags().StringVar(&o.checkpoint, "checkpoint", "best", "with --run: best, final or checkpoint-N")
	c.Flags().StringVar(&o.adapter, "adapter", "", "with -c: adapter directory")
	c.Flags().StringVar(&o.split, "split", "dev", "dev or test; mnli also has dev_mismatched and test_mismatched")
	c.Flags().StringVar(&o.predictions, "predictions", "", "write predictions to this file, as GLUE takes them")
	c.Flags().StringVar(&o.device, "device", "auto", "auto, cpu, cuda or cuda:N")
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
	cfg, err := loadForEval(o)
	if err != nil {
		return err
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
	if o.predictions != "" {
		if err := e.WritePredictions(o.predictions); err != nil {
			return err
		}
	}
	if o.json {
		return printJSON(c.OutOrStdout(), e)
	}
	printScores(c.OutOrStdout(), e)
	return nil
}

// loadForEval reads the configuration; a run directory is not subject to the
// environment, because it says how it was made.
func loadForEval(o evalOptions) (*config.Config, error) {
	if o.run != "" {
		return config.Load(o.file, o.sets, nil)
	}
	return o.load()
}
