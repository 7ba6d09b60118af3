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

// interrupts handles signals that stop a command. The first signal ends the process
// at once, or, after a command has called endsItself, only ends the command's context.
// A second signal always ends the process.
type interrupts struct {
	saves  atomic.Bool
	first  atomic.Int32 // number of the first signal; 0 before it
	cancel context.CancelFunc
	// interrupt, if it is set, is called for SIGINT instead.
	interrupt atomic.Pointer[func()]
}

type interruptsKey struct{}

// untilSignal returns a context for a command, and the interrupts that end it. The
// signals are SIGINT, SIGTERM, SIGHUP, which a closed terminal sends, and SIGUSR1,
// which batch systems send before the time of a job ends.
func untilSignal() (context.Context, *interrupts) {
	i := &interrupts{}
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), interruptsKey{}, i))
	i.cancel = cancel
	received := make(chan os.Signal, 2)
	stopping := append([]os.Signal{os.Interrupt, syscall.SIGTERM}, warnings...)
	// nohup makes a command ignore SIGHUP, and it must stay ignored.
	if !signal.Ignored(syscall.SIGHUP) {
		stopping = append(stopping, syscall.SIGHUP)
	}
	signal.Notify(received, stopping...)
	go func() {
		s := <-received
		for ; s == os.Interrupt; s = <-received {
			f := i.interrupt.Load()
			if f == nil {
				break
			}
			(*f)()
		}
		i.stop(number(s), "by the signal "+s.String())
		os.Exit(signalled + number(<-received))
	}()
	return ctx, i
}

// stop handles the first signal and does nothing after it. why follows the word
// "stopped" in the message.
func (i *interrupts) stop(signal int, why string) {
	if !i.first.CompareAndSwap(0, int32(signal)) {
		return
	}
	if !i.saves.Load() {
		if terminal.Of(os.Stderr).Live {
			fmt.Fprint(os.Stderr, "\r") // overwrites the ^C that the terminal echoed
		}
		fmt.Fprintf(os.Stderr, "lor2c: stopped %s; there was nothing to save\n", why)
		os.Exit(signalled + signal)
	}
	i.cancel()
}

// stopsWithInput stops the command, as SIGTERM does, when in ends. in is a pipe whose
// other end is open in the parent process, and every system closes it when that
// process ends, for whatever reason. The end of in does not count as a second signal,
// because a terminal or a batch system sends its signal to both processes.
func stopsWithInput(ctx context.Context, in io.Reader) {
	if i, ok := ctx.Value(interruptsKey{}).(*interrupts); ok {
		go func() {
			_, _ = io.Copy(io.Discard, in)
			i.stop(number(syscall.SIGTERM), "with the sweep that it belongs to")
		}()
	}
}

// endsItself tells the interrupts of ctx that the command ends by itself when ctx
// ends, because it has to save its state or to restore the terminal.
func endsItself(ctx context.Context) {
	if i, ok := ctx.Value(interruptsKey{}).(*interrupts); ok {
		i.saves.Store(true)
	}
}

// endsAtOnce tells the interrupts of ctx that the next signal ends the process again. It returns the error of ctx,
// which is not nil if a signal has arrived before.
func endsAtOnce(ctx context.Context) error {
	if i, ok := ctx.Value(interruptsKey{}).(*interrupts); ok {
		i.saves.Store(false)
	}
	return ctx.Err()
}

// onInterrupt makes SIGINT call f and have no other effect, until the function that it returns is called.
func onInterrupt(ctx context.Context, f func()) (restore func()) {
	i, ok := ctx.Value(interruptsKey{}).(*interrupts)
	if !ok {
		return func() {}
	}
	i.interrupt.Store(&f)
	return func() { i.interrupt.Store(nil) }
}

// outlivePipes lets a command continue after the reader of its standard output or
// error has exited. By default, Go ends the process when it writes to such a pipe.
func outlivePipes() { signal.Ignore(syscall.SIGPIPE) }

// code returns the exit code of a command that the first signal stopped. If another rank received it, that is the code
// of SIGTERM.
func (i *interrupts) code() int {
	if first := int(i.first.Load()); first > 0 {
		return signalled + first
	}
	return signalled + number(syscall.SIGTERM)
}

// number returns the number of a signal, or 0 on a system without numbers.
func number(s os.Signal) int {
	n, _ := s.(syscall.Signal)
	return int(n)
}
