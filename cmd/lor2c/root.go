package main

import (
	"github.com/spf13/cobra"
)

const exitHelp = `
Exit status:
  0    done
  1    failure
  2    mistake on the command line or in the run file, or an output directory of another run
  3    no usable device
  4    adapter and model or data do not match
  5    training met a value that is not finite
  6    cells of a sweep failed; the others are done
  7    the device failed, or has too little memory; checkpoints are intact
  130  interrupted by SIGINT, state saved    143  by SIGTERM    129  by SIGHUP    138  by SIGUSR1`

func newRootCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "lor2c",
		Short: "Fine-tune pretrained encoders with low-rank residual connections (LoR2C)",
		Long: "lor2c fine-tunes RoBERTa and BERT encoders with LoR2C, ShareLoR2C, LoRA, full or head-only\n" +
			"fine-tuning, on GLUE or on your own labelled text.",
		SilenceUsage: true, SilenceErrors: true,
	}
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	c.AddCommand(newTrainCommand(), newEvalCommand(), newShowCommand(), newMergeReportCommand(), newSweepCommand(), newReproduceCommand(), newDoctorCommand(), newVersionCommand())
	return c
}

// noArgs reports positional arguments, which no command has, as a usage error.
func noArgs(c *cobra.Command, args []string) error {
	if err := cobra.NoArgs(c, args); err != nil {
		return usageError{err}
	}
	return nil
}
