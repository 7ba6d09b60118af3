package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"

	"github.com/lor2c/lor2c/internal/terminal"
)

// interrupts decides what the first signal to stop does: it ends the process
// at once until a command says that it ends by itself, and from then on ends the
// command's context. A second signal always ends the process.
type interrupts struct {
	saves  atomic.Bool
	first  atomic.Int32 // number of the first signal; 0 before it
	cancel context.CancelFunc
}

type interruptsKey struct{}

// untilSignal returns a context for a command, which ends as interrupts says.
// SIGINT and SIGTERM stop a command; so do SIGHUP, which a closed terminal
// sends, and SIGUSR1, by which batch systems warn of the end of a job's time.
func untilSignal() (context.Context, *interrupts) {
	i := &interrupts{}
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), interruptsKey{}, i))
	i.cancel = cancel
	received := make(chan os.Signal, 2)
	stopping := append([]os.Signal{os.Interrupt, syscall.SIGTERM}, warnings...)
	// Under nohup the terminal may go: there SIGHUP stays ignored.
	if !signal.Ignored(syscall.SIGHUP) {
		stopping = append(stopping, syscall.SIGHUP)
	}
	signal.Notify(received, stopping...)
	go func() {
		s := <-received
		i.stop(number(s), "by the signal "+s.String())
		os.Exit(signalled + number(<-received))
	}()
	return ctx, i
}

// stop does what the first signal does, once; why completes "stopped".
func (i *interrupts) stop(signal int, why string) {
	if !i.first.CompareAndSwap(0, int32(signal)) {
		return
	}
	if !i.saves.Load() {
		if terminal.Of(os.Stderr).Live {
			fmt.Fprint(os.Stderr, "\r") // over the ^C that the terminal echoed
		}
		fmt.Fprintf(os.Stderr, "lor2c: stopped %s; there was nothing to save\n", why)
		os.Exit(signalled + signal)
	}
	i.cancel()
}

// stopsWithInput makes the end of in stop the command as SIGTERM does. The
// parent process holds the other end of a pipe, which every system closes when
// that process ends, however it ends. It does not count as a second signal: a
// terminal and a batch system send theirs to parent and child alike.
func stopsWithInput(ctx context.Context, in io.Reader) {
	if i, ok := ctx.Value(interruptsKey{}).(*interrupts); ok {
		go func() {
			_, _ = io.Copy(io.Discard, in)
			i.stop(number(syscall.SIGTERM), "with the sweep that it belongs to")
		}()
	}
}

// endsItself tells the interrupts of ctx that the command ends by itself when
// ctx ends: it has a state to save or a terminal to tidy.
func endsItself(ctx context.Context) {
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
