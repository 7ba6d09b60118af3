//go:build unix

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestSweepSignal: a cell saves when its sweep is stopped or killed, and the
// same command, given immediately, continues.
func TestSweepSignal(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills sweeps, which -short leaves out")
	}
	for _, tt := range []struct {
		name   string
		signal syscall.Signal
		group  bool // the signal is also sent to the cell, as a terminal does
		code   int  // exit code; -1 for a process that was killed
		stderr string
	}{
		{"terminated", syscall.SIGTERM, false, signalled + int(syscall.SIGTERM),
			"0 of 1 cell is done: interrupted; the same command continues"},
		{"terminal", syscall.SIGINT, true, signalled + int(syscall.SIGINT),
			"0 of 1 cell is done: interrupted; the same command continues"},
		{"killed", syscall.SIGKILL, false, -1, "demo: begins (1 of 1)"},
	} {
		t.Run("case="+tt.name, func(t *testing.T) {
			file, out := sweepFile(t, "  train.epochs: 12\n")
			c := command(t, "sweep", "-c", file)
			c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			var stderr bytes.Buffer
			c.Stderr = &stderr
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			waitFor(t, c, func() bool {
				_, err := os.Stat(filepath.Join(out, "demo", "checkpoint-8"))
				return err == nil
			})
			to := c.Process.Pid
			if tt.group {
				to = -to
			}
			if err := syscall.Kill(to, tt.signal); err != nil {
				t.Fatal(err)
			}
			c.Wait()
			if code := c.ProcessState.ExitCode(); code != tt.code || !strings.Contains(stderr.String(), tt.stderr) {
				t.Fatalf("exit code %d, stderr %q", code, stderr.String())
			}
			r := run(t, "sweep", "-c", file)
			log, err := os.ReadFile(filepath.Join(out, "logs", "demo.log"))
			if r.code != 0 || err != nil || !strings.Contains(string(log), "resuming from "+out) ||
				!strings.Contains(string(log), "interrupted; the state is in") {
				t.Errorf("again: %+v, %v\n%s", r, err, log)
			}
		})
	}
}
