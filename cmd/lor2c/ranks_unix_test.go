//go:build unix

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/lor2c/lor2c/internal/group/mpi"
)

// asRanks returns the arguments and the run directory of a short training on two ranks, and the environment that
// launchers need. It skips the test where ranks cannot be started.
func asRanks(t *testing.T, set ...string) (args []string, out string, env []string) {
	t.Helper()
	if !mpi.Built {
		t.Skip("this build has no MPI")
	}
	if _, err := exec.LookPath("mpirun"); err != nil {
		t.Skip("no mpirun is installed")
	}
	out = filepath.Join(t.TempDir(), "run")
	args = append(short(t, out), "--set", "train.micro_batch_size=2", "--ranks", "2", "--device", "cpu")
	for _, s := range set {
		args = append(args, "--set", s)
	}
	// Open MPI puts sockets there, whose names must be short.
	dir, err := os.MkdirTemp("", "mpi")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return args, out, []string{"TMPDIR=" + dir}
}

// adapterOf returns the bytes of the last adapter of a run, and of its log.
func adapterOf(t *testing.T, out string) string {
	t.Helper()
	var all []byte
	for _, name := range []string{"final/adapter_model.safetensors", "metrics.jsonl"} {
		raw, err := os.ReadFile(filepath.Join(out, name))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, raw...)
	}
	return string(all)
}

// TestRanks: two processes that mpirun starts write the bytes of one process, and only one of them prints.
func TestRanks(t *testing.T) {
	args, out, env := asRanks(t)
	c := command(t, args...)
	c.Env = append(c.Env, env...)
	got := finish(t, c)
	if got.code != 0 || strings.Count(got.stdout, "best epoch") != 1 ||
		!strings.Contains(got.stderr, "ranks: 2 processes share") {
		t.Fatalf("exit code %d, stdout %q, stderr %q", got.code, got.stdout, got.stderr)
	}
	ranks := adapterOf(t, out)
	one := append(args, "--ranks", "1", "--out", out+"-one")
	if got := run(t, one...); got.code != 0 {
		t.Fatalf("one process: exit code %d, stderr %q", got.code, got.stderr)
	}
	if adapterOf(t, out+"-one") != ranks {
		t.Error("the adapter or the log of two ranks differs from those of one process")
	}
}

// TestRanksStop: SIGTERM makes all ranks save once and stop, a rank that is killed ends all, and the same command
// continues on another number of ranks.
func TestRanksStop(t *testing.T) {
	args, out, env := asRanks(t, "train.epochs=1000", "train.log_every=1", "train.save_every=4")
	// A step that was logged shows that all ranks have begun. Before that, a signal ends a rank at once.
	steps := func() int {
		raw, _ := os.ReadFile(filepath.Join(out, "metrics.jsonl"))
		return strings.Count(string(raw), `"grad_norm"`)
	}
	start := func(ranks int, act func(c *exec.Cmd)) (int, string) {
		t.Helper()
		before := steps()
		c := command(t, append(args, "--ranks", fmt.Sprint(ranks))...)
		c.Env = append(c.Env, env...)
		stderr, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
		if err != nil {
			t.Fatal(err)
		}
		defer stderr.Close()
		c.Stderr = stderr
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		waitFor(t, c, func() bool { return steps() > before })
		act(c)
		c.Wait()
		raw, err := os.ReadFile(stderr.Name())
		if err != nil {
			t.Fatal(err)
		}
		return c.ProcessState.ExitCode(), string(raw)
	}
	code, said := start(2, func(c *exec.Cmd) { c.Process.Signal(syscall.SIGTERM) })
	if code != 128+int(syscall.SIGTERM) || strings.Count(said, "interrupted; the state is in "+out) != 1 {
		t.Fatalf("after SIGTERM: exit code %d, stderr %q", code, said)
	}
	if code, said = start(3, func(c *exec.Cmd) { killRank(t, c) }); code == 0 || !strings.Contains(said, "resuming from") {
		t.Fatalf("after a rank was killed: exit code %d, stderr %q", code, said)
	}
	code, said = start(1, func(c *exec.Cmd) { c.Process.Signal(syscall.SIGTERM) })
	if code != 128+int(syscall.SIGTERM) || !strings.Contains(said, "resuming from") {
		t.Fatalf("in one process: exit code %d, stderr %q", code, said)
	}
}

// killRank kills the last of the ranks that the launcher of c has started.
func killRank(t *testing.T, c *exec.Cmd) {
	t.Helper()
	launcher := children(t, c.Process.Pid)
	if len(launcher) != 1 {
		t.Fatalf("the command has the processes %v; want a launcher", launcher)
	}
	ranks := children(t, launcher[0])
	if len(ranks) == 0 {
		t.Fatal("the launcher has no ranks")
	}
	if err := syscall.Kill(slices.Max(ranks), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// children returns the processes that a process has started.
func children(t *testing.T, pid int) (list []int) {
	t.Helper()
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, thread.Name()))
		if err != nil {
			t.Skipf("the system does not list the children of a process: %v", err)
		}
		for _, word := range strings.Fields(string(raw)) {
			child, err := strconv.Atoi(word)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, child)
		}
	}
	return list
}
