//go:build unix

package main

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// longRun returns the arguments and the run directory of a training that a test interrupts.
func longRun(t *testing.T, epochs string) (args []string, out string) {
	t.Helper()
	out = filepath.Join(t.TempDir(), "run")
	return append(short(t, out), "--set", "train.epochs="+epochs, "--set", "train.log_every=1"), out
}

// waitFor waits until ready returns true, and fails if c ends before that.
func waitFor(t *testing.T, c *exec.Cmd, ready func() bool) {
	t.Helper()
	for !ready() {
		if c.Process.Signal(syscall.Signal(0)) != nil {
			t.Fatal("the command ended before it could be interrupted")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// logged reports whether a run has logged a record.
func logged(out string) func() bool {
	return func() bool {
		raw, err := os.ReadFile(filepath.Join(out, "metrics.jsonl"))
		return err == nil && len(raw) > 0
	}
}

// TestSignal: each signal makes a run save its state and end with the exit code
// of the signal, and the same command continues the run.
func TestSignal(t *testing.T) {
	// Children of a test that was itself started by nohup would ignore SIGHUP.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1} {
		// On a busy machine the signal may arrive late, so the run is a long one.
		args, out := longRun(t, "1000")
		interrupt := func(ready func(stderr string) bool, args ...string) {
			t.Helper()
			c := command(t, args...)
			stderr, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
			if err != nil {
				t.Fatal(err)
			}
			defer stderr.Close()
			text := func() string {
				raw, err := os.ReadFile(stderr.Name())
				if err != nil {
					t.Fatal(err)
				}
				return string(raw)
			}
			c.Stderr = stderr
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			waitFor(t, c, func() bool { return ready(text()) })
			if err := c.Process.Signal(s); err != nil {
				t.Fatal(err)
			}
			c.Wait()
			if code := c.ProcessState.ExitCode(); code != 128+int(s) ||
				!strings.Contains(text(), "interrupted; the state is in "+out) {
				t.Fatalf("%v: exit code %d, stderr %q", s, code, text())
			}
		}
		interrupt(func(string) bool { return logged(out)() }, args...)
		if s == syscall.SIGTERM {
			interrupt(func(stderr string) bool { return strings.Contains(stderr, "resuming from "+out) },
				append(args, "--resume", "auto")...)
		}
	}
}

// TestNohup: a run that nohup started continues when its terminal is closed.
func TestNohup(t *testing.T) {
	if testing.Short() {
		t.Skip("trains until it is stopped, which -short leaves out")
	}
	args, out := longRun(t, "12")
	c := command(t, args...)
	c.Args = append([]string{"sh", "-c", `trap "" HUP; exec "$0" "$@"`}, c.Args...)
	c.Path = "/bin/sh"
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, c, logged(out))
	c.Process.Signal(syscall.SIGHUP)
	if err := c.Wait(); err != nil {
		t.Errorf("the run ended with %v; want SIGHUP ignored", err)
	}
}

// TestSignalWhileLoading: the first signal ends a command that has nothing to
// save yet. For a command that has, it ends the context.
func TestSignalWhileLoading(t *testing.T) {
	for _, tt := range []struct {
		mode, stderr string
		code         int
	}{
		{"loads", "lor2c: stopped by the signal terminated; there was nothing to save\n", 143},
		{"saves", "saved\n", 0},
	} {
		t.Run("mode="+tt.mode, func(t *testing.T) {
			c := command(t)
			c.Env = append(c.Env, asWaiting+"="+tt.mode)
			stdout, err := c.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			var stderr bytes.Buffer
			c.Stderr = &stderr
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			stdout.Read(make([]byte, 1)) // the command waits from here on
			if err := c.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			c.Wait()
			if code := c.ProcessState.ExitCode(); code != tt.code || stderr.String() != tt.stderr {
				t.Errorf("exit code %d, stderr %q; want %d, %q", code, stderr.String(), tt.code, tt.stderr)
			}
		})
	}
}

// TestInterruptDiverted: while a command diverts interrupts they only call its function. Other signals still end it.
func TestInterruptDiverted(t *testing.T) {
	c := command(t)
	c.Env = append(c.Env, asWaiting+"=diverts")
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	for _, want := range []string{"waiting", "diverted", "diverted"} {
		if !lines.Scan() || lines.Text() != want {
			t.Errorf("the command prints %q; want %q", lines.Text(), want)
		}
		if err := c.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	c.Wait()
	if code := c.ProcessState.ExitCode(); code != 143 {
		t.Errorf("exit code %d; want 143", code)
	}
}

// TestReaderGone: training continues after the reader of its output has exited.
func TestReaderGone(t *testing.T) {
	out := filepath.Join(t.TempDir(), "run")
	args := append(short(t, out), "--json", "--set", "train.log_every=1")
	c := command(t, args...)
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	for _, r := range []io.ReadCloser{stderr, stdout} {
		r.Read(make([]byte, 1))
		r.Close()
	}
	if err := c.Wait(); err != nil {
		t.Errorf("the run ended with %v", err)
	}
	if _, err := os.Stat(filepath.Join(out, "all_results.json")); err != nil {
		t.Error(err)
	}
	raw, err := os.ReadFile(filepath.Join(out, "log.txt"))
	if want := "standard output was closed by its reader"; err != nil || !strings.Contains(string(raw), want) {
		t.Errorf("the log lacks %q: %v\n%s", want, err, raw)
	}
}
