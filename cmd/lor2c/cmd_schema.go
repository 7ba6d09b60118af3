package main

import (
	"github.com/spf13/cobra"

	"github.com/lor2c/lor2c/internal/config"
)

func newSchemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print a JSON schema of run files, for editors",
		Long: "Schema prints a JSON schema (draft 2020-12) of a run file. An editor that knows\n" +
			"it completes keys and values, explains them and marks what is wrong. Editors\n" +
			"with the YAML language server take it from the first line of a run file:\n\n" +
			"  # yaml-language-server: $schema=run.schema.json",
		Example:     "  lor2c schema > run.schema.json",
		Annotations: exits(),
		Args:        noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := c.OutOrStdout().Write(config.JSONSchema())
			return err
		},
	}
}
