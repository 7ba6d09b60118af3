// Command lor2c fine-tunes pretrained encoders with LoR2C and its baselines.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

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
	exitSIGINT    = 130
	exitSIGTERM   = 143
)

func main() {
	ctx, received := untilSignal()
	err := newRootCommand().ExecuteContext(ctx)
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, err)
	code := exitCode(err)
	if errors.Is(err, train.ErrInterrupted) && received() == syscall.SIGTERM {
		code = exitSIGTERM
	}
	os.Exit(code)
}

// untilSignal returns a context that ends with the first SIGINT or SIGTERM, and
// what that was. A second one ends the process at once.
func untilSignal() (ctx context.Context, received func() os.Signal) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	var first os.Signal
	go func() {
		first = <-signals
		cancel()
		if <-signals == syscall.SIGTERM {
			os.Exit(exitSIGTERM)
		}
		os.Exit(exitSIGINT)
	}()
	return ctx, func() os.Signal {
		<-ctx.Done()
		return first
	}
}

// exitCode maps an error to what the command's help promises.
func exitCode(err error) int {
	var faults *config.Error
	var usage usageError
	var nonFinite *train.NonFiniteError
	switch {
	case errors.Is(err, train.ErrInterrupted):
		return exitSIGINT
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
