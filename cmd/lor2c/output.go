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

// output is a file that a flag names. The path "-" is standard output.
type output struct{ flag, path string }

// toStdout reports whether the output goes to standard output. The command must then
// not print anything else there.
func (o output) toStdout() bool { return o.path == "-" || outfile.IsStdout(o.path) }

// check returns an error if the output cannot be written, or if it must not be
// overwritten because it is one of inputs, is in a directory among inputs, or is a file
// of a run. Commands call it before they compute what they will write.
func (o output) check(inputs ...string) error {
	if o.path == "" || o.toStdout() {
		return nil
	}
	err := checkPath(o.flag, o.path)
	if err == nil && train.OwnFile(o.path) {
		err = usageError{fmt.Errorf("lor2c: %s: %s is a file that a run needs; name another file", o.flag, o.path)}
	}
	if folder := filepath.Dir(o.path); err == nil && checkpoint.IsDir(folder) {
		err = usageError{fmt.Errorf("lor2c: %s: %s is a checkpoint, which a run may remove; "+
			"name a file in another directory", o.flag, folder)}
	}
	if err != nil {
		return err
	}
	if err := outfile.Check(o.path, inputs...); err != nil {
		return usageError{err}
	}
	return nil
}

// write calls fill with a writer of the output. A file appears complete or not at all.
func (o output) write(c *cobra.Command, fill func(w io.Writer) error) error {
	if o.toStdout() {
		return fill(c.OutOrStdout())
	}
	if o.isPipe() {
		if err := endsAtOnce(c.Context()); err != nil {
			return err
		}
	}
	return outfile.Write(o.path, fill)
}

// isPipe reports whether the output is opened and written to, and not replaced. Such a file has nothing that a later
// command could continue, and opening it can wait for a reader for ever, so a signal should end the command at once.
func (o output) isPipe() bool {
	_, whole, err := outfile.Target(o.path)
	return err == nil && !whole
}

// checkPath returns an error if the path of a flag has a part that only a shell would
// expand, such as ~.
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

// checkPaths calls checkPath for pairs of a flag and a path, and joins the errors.
func checkPaths(flagsAndPaths ...string) error {
	var faults []error
	for i := 0; i < len(flagsAndPaths); i += 2 {
		faults = append(faults, checkPath(flagsAndPaths[i], flagsAndPaths[i+1]))
	}
	return errors.Join(faults...)
}
