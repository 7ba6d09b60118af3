//go:build unix

package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// TestPipeWithoutReader: a signal ends a command at once while it waits for the reader of a pipe, and only the context
// of one that replaces a file.
func TestPipeWithoutReader(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip(err)
	}
	i := &interrupts{}
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), interruptsKey{}, i))
	c := &cobra.Command{}
	c.SetContext(ctx)
	fill := func(w io.Writer) error {
		_, err := io.WriteString(w, "text")
		return err
	}
	endsItself(ctx)
	if err := (output{path: filepath.Join(dir, "file")}).write(c, fill); err != nil || !i.saves.Load() {
		t.Errorf("a file: %v, and a signal ends the process: %t", err, !i.saves.Load())
	}
	done := make(chan error)
	go func() { done <- output{path: pipe}.write(c, fill) }()
	for deadline := time.Now().Add(time.Minute); i.saves.Load(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a signal does not end the process")
		}
	}
	if got, err := os.ReadFile(pipe); string(got) != "text" || err != nil {
		t.Errorf("the pipe has %q, %v", got, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	cancel()
	if err := (output{path: pipe}).write(c, fill); err != context.Canceled {
		t.Errorf("after a signal: %v; want the error of the context", err)
	}
}
