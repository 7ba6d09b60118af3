package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:         "version",
		Short:       "Print the version",
		Long:        wrap("Version prints the module's version, the revision it was built from and the Go release.", ""),
		Annotations: exits(),
		Args:        noArgs,
		Run:         func(c *cobra.Command, _ []string) { fmt.Fprintln(c.OutOrStdout(), "lor2c "+versionString()) },
	}
}

// versionString returns the module's version, the revision and the Go release.
func versionString() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown, " + runtime.Version()
	}
	revision, modified := "no revision", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			modified = " with changes"
		}
	}
	return fmt.Sprintf("%s (%s%s), %s", info.Main.Version, revision, modified, runtime.Version())
}
