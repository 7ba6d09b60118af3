// Command lor2c fine-tunes pretrained encoders with LoR2C and its baselines.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/sweep"
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
	signalled     = 128 // plus the signal's number, as in a shell
)

func main() {
	ctx, interrupts := untilSignal()
	err := newRootCommand().ExecuteContext(ctx)
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, err)
	if errors.Is(err, train.ErrInterrupted) {
		os.Exit(interrupts.code())
	}
	os.Exit(exitCode(err))
}

// exitCode maps an error to what the command's help promises.
func exitCode(err error) int {
	var faults *config.Error
	var usage usageError
	var nonFinite *train.NonFiniteError
	switch {
	case errors.As(err, &faults), errors.As(err, &usage), errors.Is(err, train.ErrOtherRun):
		return exitUsage
	case errors.Is(err, errNoDevice):
		return exitDevice
	case errors.Is(err, adapter.ErrMismatch):
		return exitMismatch
	case errors.As(err, &nonFinite):
		return exitNonFinite
	case errors.Is(err, train.ErrDevice), errors.Is(err, compute.ErrOutOfMemory):
		return exitLost
	case errors.Is(err, sweep.ErrFailed):
		return exitCells
	}
	return exitFailure
}

// usageError marks a mistake on the command line.
type usageError struct{ error }
