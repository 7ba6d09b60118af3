package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lor2c/lor2c/internal/benchmark"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/evaluate"
	"github.com/lor2c/lor2c/internal/reproduce"
	"github.com/lor2c/lor2c/internal/sandbox"
	"github.com/lor2c/lor2c/internal/sweep"
	"github.com/lor2c/lor2c/internal/terminal"
	"github.com/lor2c/lor2c/internal/train"
)

func newReproduceCommand() *cobra.Command {
	var o reproduce.Options
	var seeds []uint
	var device string
	c := &cobra.Command{
		Use:   "reproduce (" + strings.Join(reproduce.Targets, "|") + ")",
		Short: "Reproduce the paper's tables I and II and figures 2, 6 and 7",
		Long: wrap("Reproduce trains what is missing, as lor2c sweep does, and writes the table as Markdown, LaTeX and "+
			"JSON, or the figure as PNG, SVG and JSON, beside the paper's numbers. The same command continues. It reads run "+
			"files from configs/, so run it from the root of the repository.", "") + "\n\n" +
			"  table1  GLUE dev scores of the methods that lor2c has; IMLoR2C at one cell,\n" +
			"          or with --grid at the best of 49\n" +
			"  table2  MMLU, BBH, DROP and HumanEval of decoders fine-tuned on instructions,\n" +
			"          with standard errors and paired differences to LoRA\n" +
			"  fig2    singular values of W = BA over the epochs\n" +
			"  fig6    IMLoR2C over a grid of merges and injections\n" +
			"  fig7    gradients of LoR2C over those of LoRA\n\n" +
			wrap("--profile mini takes the demo's encoder and data and a few minutes; its numbers are not the paper's.", ""),
		Example: "  lor2c reproduce fig7 --profile mini\n" +
			"  lor2c reproduce fig6 --tasks rte --largest 3 --set train.epochs=10\n" +
			"  lor2c reproduce table1 --tasks mrpc,rte --methods lora,lor2c --device cuda\n" +
			"  lor2c reproduce table2 --model models/llama-2-7b --data data --tasks mmlu,bbh",
		Annotations: exits(exitDevice, exitCells),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{fmt.Errorf("lor2c: reproduce: %d targets named; want one of %s", len(args),
					strings.Join(reproduce.Targets, ", "))}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if c.Flags().Changed("parallel") && o.Parallel < 1 {
				return usageError{fmt.Errorf("lor2c: reproduce: --parallel is %d; want at least 1", o.Parallel)}
			}
			if c.Flags().Changed("largest") && o.Largest < 1 {
				return usageError{fmt.Errorf("lor2c: reproduce: --largest is %d; want at least 1", o.Largest)}
			}
			for _, s := range seeds {
				o.Seeds = append(o.Seeds, uint64(s))
			}
			return runReproduce(c.Context(), args[0], o, device, c.OutOrStdout())
		},
	}
	c.Flags().StringVar(&o.Profile, "profile", reproduce.Paper, "profile `NAME`: paper or mini")
	c.Flags().StringSliceVar(&o.Tasks, "tasks", nil, "train the tasks of `LIST`, such as mrpc,rte (all of the target)")
	c.Flags().StringSliceVar(&o.Methods, "methods", nil,
		"table1, table2: train the methods of `LIST`, such as lora,lor2c (all)")
	c.Flags().UintSliceVar(&seeds, "seeds", nil,
		"use the seeds of `LIST`, such as 1,2,3 (17; table1 17,18,19, mini 17,18; table2 42)")
	c.Flags().Lookup("seeds").DefValue = "" // not "[]" in the help
	c.Flags().StringVar(&o.Model, "model", "", "Hugging Face directory `DIR` (models/roberta-base)")
	c.Flags().StringVar(&o.Data, "data", "", "folder `DIR` of GLUE's tasks (data/glue), or of table2's data")
	c.Flags().BoolVar(&o.Grid, "grid", false, "table1: IMLoR2C over the whole grid, as in the paper")
	c.Flags().IntVar(&o.Largest, "largest", 0,
		"fig6, table1 --grid: from 0 to `N` merges and injections (paper: 6, mini: 2)")
	c.Flags().StringArrayVar(&o.Sets, "set", nil, "override a key of all run files, `KEY=VALUE`, such as train.epochs=3")
	c.Flags().BoolVar(&o.AllowCode, "allow-code-execution", false,
		"table2: ask HumanEval, whose programs the models write, in a sandbox")
	c.Flags().StringVar(&o.Out, "out", "", "directory `DIR` (runs/reproduce, or runs/reproduce-mini)")
	c.Flags().IntVar(&o.Parallel, "parallel", 0, "train `N` runs at a time (paper: 1, mini: one a core)")
	c.ValidArgs = reproduce.Targets
	c.RegisterFlagCompletionFunc("profile", words(reproduce.Paper, reproduce.Mini))
	c.RegisterFlagCompletionFunc("methods", listed(reproduce.Methods...))
	deviceFlag(c, &device)
	return c
}

func runReproduce(ctx context.Context, target string, o reproduce.Options, device string, stdout io.Writer) error {
	if err := checkPaths("--model", o.Model, "--data", o.Data, "--out", o.Out); err != nil {
		return err
	}
	j, err := reproduce.Plan(target, o)
	if err != nil {
		return usageError{err}
	}
	if err := j.Check(os.Environ()); err != nil {
		if o.Profile == reproduce.Paper && (o.Model == "" || o.Data == "") {
			err = fmt.Errorf("%w\nlor2c: reproduce: if the model or the data are elsewhere, name them with --model DIR and "+
				"--data DIR", err)
		}
		return err
	}
	failed := runCells(ctx, j.Sweep, device)
	if failed != nil && !errors.Is(failed, sweep.ErrFailed) {
		return failed
	}
	if err := j.Ask(ctx, asking(o, device)); err != nil {
		return errors.Join(failed, err)
	}
	paths, err := j.Write()
	if err != nil {
		return errors.Join(failed, err)
	}
	for _, p := range paths {
		if filepath.Ext(p) != ".md" {
			continue
		}
		table, err := os.ReadFile(p)
		if err != nil {
			return errors.Join(failed, err)
		}
		fmt.Fprintf(stdout, "%s\n", terminal.Of(os.Stdout).Markdown(string(table)))
	}
	for _, p := range paths {
		fmt.Fprintln(stdout, p)
	}
	return failed
}

// asking returns a function that asks a benchmark as lor2c eval --task does, in the protocol of the paper.
func asking(o reproduce.Options, device string) func(context.Context, reproduce.Asked) (*reproduce.Score, error) {
	return func(ctx context.Context, a reproduce.Asked) (*reproduce.Score, error) {
		precision := config.Float32
		if name := filepath.Join(a.Run, train.ConfigFile); a.Run != "" {
			c, err := config.LoadContext(ctx, name, nil, nil)
			if err != nil {
				return nil, err
			}
			precision = c.Train.Precision
		}
		e := evalOptions{run: a.Run, checkpoint: "best", device: device}
		t := taskOptions{
			task: a.Task, model: a.Model, data: a.Data, protocol: string(benchmark.InstructEval), out: a.Out,
			against: a.Against, shots: -1, own: a.Own, allowCode: o.AllowCode, sandbox: string(sandbox.Kernel),
			precision: precision,
			settings: evaluate.Settings{
				Decode: evaluate.ByProtocol, Samples: 1, Seed: 42, Batch: 16, Out: a.Out,
			},
		}
		source, name, err := t.source(ctx, e)
		if err != nil {
			return nil, err
		}
		if a.Against == "" {
			fmt.Fprintf(os.Stderr, "%s: %s\n", name, a.Task)
		}
		r, d, err := evaluateTask(ctx, t, source, device)
		if err != nil {
			return nil, err
		}
		return &reproduce.Score{
			Title: r.Title, Metric: r.Metric, Value: r.Value, StdErr: r.StdErr, N: r.N, Difference: d,
		}, nil
	}
}
