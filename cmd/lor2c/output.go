package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/outfile"
	"github.com/lor2c/lor2c/internal/train"
)

// output is a file that a flag names, "-" being standard output.
type output struct{ flag, path string }

// toStdout reports whether the output goes to standard output, where no line for
// people may stand between.
func (o output) toStdout() bool { return o.path == "-" || outfile.IsStdout(o.path) }

// check refuses an output that cannot be written or must not be: one of inputs,
// a file in a folder among them, or a file of a run. It is called before the work
// whose results are to be written.
func (o output) check(inputs ...string) error {
	if o.path == "" || o.toStdout() {
		return nil
	}
	err := checkPath(o.flag, o.path)
	if err == nil && train.OwnFile(o.path) {
		err = usageError{fmt.Errorf("lor2c: %s: %s belongs to a run, which needs it; want another file", o.flag, o.path)}
	}
	if folder := filepath.Dir(o.path); err == nil && checkpoint.IsDir(folder) {
		err = usageError{fmt.Errorf("lor2c: %s: %s is a checkpoint, which a run may remove; want a file in another folder", o.flag, folder)}
	}
	if err != nil {
		return err
	}
	if err := outfile.Check(o.path, inputs...); err != nil {
		return usageError{err}
	}
	return nil
}

// write writes the output.
func (o output) write(c *cobra.Command, fill func(w io.Writer) error) error {
	if o.toStdout() {
		return fill(c.OutOrStdout())
	}
	return outfile.Write(o.path, fill)
}

// checkPath refuses a path of a flag that only a shell would expand.
func checkPath(flag, path string) error {
	if err := config.CheckPath(path); err != nil {
		return usageError{fmt.Errorf("lor2c: %s: %w", flag, err)}
	}
	return nil
}

// named pairs each of paths with a name, for checkPaths.
func named(name string, paths []string) (pairs []string) {
	for _, path := range paths {
		pairs = append(pairs, name, path)
	}
	return pairs
}

// checkPaths is checkPath for pairs of a flag and a path.
func checkPaths(flagsAndPaths ...string) error {
	var faults []error
	for i := 0; i < len(flagsAndPaths); i += 2 {
		faults = append(faults, checkPath(flagsAndPaths[i], flagsAndPaths[i+1]))
	}
	return errors.Join(faults...)
}
