package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/place"
)

// deviceFlag adds the flag --device to a command.
func deviceFlag(c *cobra.Command, device *string) {
	c.Flags().StringVar(device, "device", "auto", "device `NAME`: auto, cpu, cuda or cuda:N")
}

// precisionFlag adds the flag --precision to a command. The help text begins with prefix.
func precisionFlag(c *cobra.Command, precision *string, prefix string) {
	c.Flags().StringVar(precision, "precision", config.Float32,
		prefix+"precision `NAME` of the device: float32 or bfloat16")
	_ = c.RegisterFlagCompletionFunc("precision", words(config.Float32, config.BFloat16))
}

// checkPrecision returns an error if the value of --precision is not one that openDevice takes.
func checkPrecision(command, precision string) error {
	if precision == config.Float32 || precision == config.BFloat16 {
		return nil
	}
	return usageError{fmt.Errorf("lor2c: %s: --precision is %s; want float32 or bfloat16", command,
		place.Quote(precision))}
}
