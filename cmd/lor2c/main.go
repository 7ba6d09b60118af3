// Command lor2c fine-tunes pretrained encoders and decoders with LoR2C, LoRA and other methods.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/generate"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/sandbox"
	"github.com/lor2c/lor2c/internal/sweep"
	"github.com/lor2c/lor2c/internal/terminal"
	"github.com/lor2c/lor2c/internal/train"
)

// Exit codes, documented in each command's help.
const (
	exitFailure   = 1
	exitUsage     = 2
	exitDevice    = 3
	exitMismatch  = 4
	exitNonFinite = 5
	exitCells     = 6
	exitLost      = 7
	exitFindings  = 8
	signalled     = 128 // plus the signal's number, as in a shell
)

func main() {
	sandbox.Child()
	ctx, interrupts := untilSignal()
	// All commands write to this writer and not to os.Stdout, so that a write which
	// fails, also at the end, is reported.
	stdout := bufio.NewWriter(os.Stdout)
	root := newRootCommand()
	root.SetOut(stdout)
	err := execute(ctx, root)
	if flushing := stdout.Flush(); flushing != nil && !errors.Is(flushing, syscall.EPIPE) {
		if errors.Is(err, flushing) {
			err = nil // the command returned this error; it is reported below
		}
		err = errors.Join(err, fmt.Errorf("lor2c: write to standard output: %w", errors.Unwrap(flushing)))
	}
	if err == nil {
		return
	}
	var reported reportedError
	if !errors.As(err, &reported) {
		screenOfStderr().Print(terminal.Failure, err.Error(), 2)
	}
	if errors.Is(err, train.ErrInterrupted) || errors.Is(err, generate.ErrInterrupted) {
		os.Exit(interrupts.code())
	}
	os.Exit(exitCode(err))
}

// screenOfStdout returns a screen that writes to the command's output, with the width
// of the terminal that standard output is, if it is one.
func screenOfStdout(c *cobra.Command) *terminal.Screen {
	return terminal.Open(c.OutOrStdout(), terminal.Of(os.Stdout), nil)
}

// screenOfStderr returns a screen that writes to standard error, with the width of
// the terminal that it is, if it is one.
func screenOfStderr() *terminal.Screen {
	return terminal.Open(os.Stderr, terminal.Of(os.Stderr), nil)
}

// lineWriter flushes after every write, for output that must be visible while a command
// is running.
type lineWriter struct{ io.Writer }

// Write writes p and flushes.
func (w lineWriter) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	if buffered, ok := w.Writer.(*bufio.Writer); ok && err == nil {
		err = buffered.Flush()
	}
	return n, err
}

// exitCode returns the exit code for an error, as the command's help documents it.
func exitCode(err error) int {
	var findings findingsError
	var faults *config.Error
	var usage usageError
	var noDevice noDeviceError
	var nonFinite *train.NonFiniteError
	var reported reportedError
	switch {
	case errors.As(err, &reported) && reported.code != 0:
		return reported.code
	case errors.As(err, &faults), errors.As(err, &usage), errors.Is(err, train.ErrOtherRun):
		return exitUsage
	case errors.As(err, &noDevice):
		return exitDevice
	case errors.Is(err, adapter.ErrMismatch):
		return exitMismatch
	case errors.As(err, &nonFinite), errors.Is(err, checkpoint.ErrNotFinite):
		return exitNonFinite
	case errors.Is(err, train.ErrDevice), errors.Is(err, compute.ErrOutOfMemory):
		return exitLost
	case errors.Is(err, sweep.ErrFailed):
		return exitCells
	case errors.As(err, &findings):
		return exitFindings
	case place.IsMistake(err): // after the errors that have a code of their own
		return exitUsage
	}
	return exitFailure
}

// usageError marks a mistake on the command line that this package found. Other
// packages use place.Mistake.
type usageError struct{ error }
