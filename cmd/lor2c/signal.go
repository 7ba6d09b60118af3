package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
)

// interrupts decides what the first signal to stop does: it ends the process
// at once until a command says that it has something to save, and from then on
// ends the command's context. A second signal always ends the process.
type interrupts struct {
	saves atomic.Bool
	first atomic.Int32 // number of the first signal; 0 before it
}

type interruptsKey struct{}

// untilSignal returns a context for a command, which ends as interrupts says.
// SIGINT and SIGTERM stop a command; so do SIGHUP, which a closed terminal
// sends, and SIGUSR1, by which batch systems warn of the end of a job's time.
func untilSignal() (context.Context, *interrupts) {
	i := &interrupts{}
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), interruptsKey{}, i))
	received := make(chan os.Signal, 2)
	stopping := append([]os.Signal{os.Interrupt, syscall.SIGTERM}, warnings...)
	// Under nohup the terminal may go: there SIGHUP stays ignored.
	if !signal.Ignored(syscall.SIGHUP) {
		stopping = append(stopping, syscall.SIGHUP)
	}
	signal.Notify(received, stopping...)
	go func() {
		s := <-received
		i.first.Store(int32(number(s)))
		if !i.saves.Load() {
			fmt.Fprintf(os.Stderr, "lor2c: stopped by the signal %s; there was nothing to save\n", s)
			os.Exit(signalled + number(s))
		}
		cancel()
		os.Exit(signalled + number(<-received))
	}()
	return ctx, i
}

// savesOnSignal tells the interrupts of ctx that the command saves its state
// when ctx ends.
func savesOnSignal(ctx context.Context) {
	if i, ok := ctx.Value(interruptsKey{}).(*interrupts); ok {
		i.saves.Store(true)
	}
}

// outlivePipes lets a command go on after the reader of its standard output or
// error has gone. Go ends the process there otherwise.
func outlivePipes() { signal.Ignore(syscall.SIGPIPE) }

// code is the exit code of a command that the first signal stopped.
func (i *interrupts) code() int { return signalled + int(i.first.Load()) }

func number(s os.Signal) int {
	n, _ := s.(syscall.Signal)
	return int(n)
}
