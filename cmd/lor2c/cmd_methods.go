package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/lor2c/lor2c/internal/adapter"
)

func newMethodsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "methods",
		Short: "List the fine-tuning methods",
		Long: "Methods lists the values of method.name with one line about each. lor2c help\n" +
			"config has the settings of each, under method.",
		Example:     "  lor2c methods",
		Annotations: exits(),
		Args:        noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			for _, name := range adapter.Names() {
				if _, err := fmt.Fprint(c.OutOrStdout(), entry(name, adapter.About(name), 12)); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
