package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/lor2c/lor2c/internal/sweep"
	"github.com/lor2c/lor2c/internal/terminal"
)

type sweepOptions struct {
	file, device, out string
	parallel          int
}

func newSweepCommand() *cobra.Command {
	var o sweepOptions
	c := &cobra.Command{
		Use:   "sweep -c FILE",
		Short: "Train a grid or a list of configurations and compare them",
		Long: wrap("Sweep trains every cell of a sweep file in a separate process and run directory. Cells with results are "+
			"skipped and interrupted ones continued, so the same command continues a sweep. It writes summary.md, summary.csv "+
			"and summary.json: mean, standard deviation and bootstrap interval over the seeds of a cell.", "") + "\n" + `
A sweep file:

  base: configs/demo.yaml   # run file that all cells begin with
  out: runs/rank            # directory for runs, logs and summaries
  parallel: 2               # cells at once (1); each needs the memory that its
                            # log names
  set: {train.epochs: 3}    # for all cells
  grid:                     # every combination of
    method.rank: [2, 8]
    seed: [1, 2, 3]
  runs:                     # cells besides those of the grid
    - {name: lor2c, set: {method.name: lor2c}}
    - {name: lora, set: {method.name: lora}}`,
		Example:     "  lor2c sweep -c sweep.yaml\n  lor2c sweep -c sweep.yaml --parallel 4 --out runs/again",
		Annotations: exits(exitDevice, exitCells),
		Args:        noArgs,
		RunE:        func(c *cobra.Command, _ []string) error { return runSweep(c, o) },
	}
	c.Flags().StringVarP(&o.file, "config", "c", "", "sweep `FILE` (YAML)")
	deviceFlag(c, &o.device)
	c.Flags().StringVar(&o.out, "out", "", "directory `DIR`, instead of the sweep file's")
	c.Flags().IntVar(&o.parallel, "parallel", 0, "train `N` cells at a time, instead of as many as the sweep file says")
	return c
}

func runSweep(c *cobra.Command, o sweepOptions) error {
	if o.file == "" {
		return usageError{fmt.Errorf("lor2c: sweep: no sweep file is named; name one with -c FILE")}
	}
	if err := checkPaths("-c", o.file, "--out", o.out); err != nil {
		return err
	}
	s, err := sweep.Read(o.file)
	if err != nil {
		return err
	}
	if o.out != "" {
		s.Out = o.out
	}
	if c.Flags().Changed("parallel") {
		s.Parallel = o.parallel // Check refuses less than 1
	}
	if err := s.Check(os.Environ()); err != nil {
		return err
	}
	failed := runCells(c.Context(), s, o.device)
	if failed != nil && !errors.Is(failed, sweep.ErrFailed) {
		return failed
	}
	sum, err := s.Summary()
	if err == nil {
		err = s.Write(sum)
	}
	if err != nil {
		return errors.Join(failed, err)
	}
	fmt.Fprintf(c.OutOrStdout(), "%s\nsummary: %s\n", terminal.Of(os.Stdout).Markdown(sum.Markdown()),
		filepath.Join(s.Out, "summary.{md,csv,json}"))
	return failed
}

// runCells runs the cells that have no results yet, each in a process of this
// program.
func runCells(ctx context.Context, s *sweep.Sweep, device string) error {
	for _, precision := range s.Precisions() {
		dev, err := openTrainer(device, precision) // checked once here, so that not every cell fails
		if err != nil {
			return err
		}
		dev.Close()
	}
	executable, err := os.Executable()
	if err != nil {
		return fmt.Errorf("lor2c: sweep: find this program: %w", err)
	}
	outlivePipes()
	endsItself(ctx)
	return s.Run(ctx, sweep.Options{
		Executable: executable, Device: device, Progress: os.Stderr, Terminal: terminal.Of(os.Stderr),
	})
}
