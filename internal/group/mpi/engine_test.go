//go:build (mpi || cuda) && linux && (amd64 || arm64)

package mpi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lor2c/lor2c/internal/group"
	"github.com/lor2c/lor2c/internal/group/grouptest"
)

// asRank names a variable that makes the test binary a rank. Its value is what the rank does.
const asRank = "LOR2C_TEST_MPI"

func TestMain(m *testing.M) {
	if part := os.Getenv(asRank); part != "" {
		if err := beRank(part); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
		return
	}
	os.Exit(m.Run())
}

// beRank is what the test binary does as a rank.
func beRank(part string) error {
	w, err := group.ReadWorld(os.Getenv)
	if err != nil {
		return err
	}
	if part == "alone" {
		w.Size++
	}
	silence := 30 * time.Second
	if part == "stopped" || part == "late" {
		silence = 5 * time.Second // of a busy machine, on which a rank is not heard every second
	}
	g, err := Open(Options{Size: w.Size, Silence: silence})
	if err != nil {
		return err
	}
	switch g.Mark(7); {
	case part == "suite":
		if !recovers() {
			return errors.New("the library has taken over the signal of a nil pointer")
		}
		if g.Rank() != w.Rank {
			return fmt.Errorf("the rank is %d; the launcher says %d", g.Rank(), w.Rank)
		}
		if err := grouptest.Check(g); err != nil {
			return err
		}
		if err := g.Close(); err != nil {
			return err
		}
		if g.Rank() == g.Size()-1 {
			fmt.Println("the suite has passed")
		}
		return nil
	case part == "late":
		// The others wait longer than a rank may be silent, and this one is busy but alive.
		if g.Rank() == 1 {
			time.Sleep(8 * time.Second)
		}
		if err := g.Barrier(); err != nil {
			return err
		}
		return g.Close()
	case part == "busy":
		// Waiting must not use the processor.
		if g.Rank() == 1 {
			time.Sleep(2 * time.Second)
		}
		if err := g.Barrier(); err != nil {
			return err
		}
		var use syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
			return err
		}
		if g.Rank() == 0 {
			fmt.Println(time.Duration(use.Utime.Nano() + use.Stime.Nano()))
		}
		return g.Close()
	case g.Rank() == 1: // part names a signal
		time.Sleep(1500 * time.Millisecond) // so that a sign of life was sent
		fmt.Println("rank 1 ends")
		signal := map[string]syscall.Signal{"stopped": syscall.SIGSTOP, "killed": syscall.SIGKILL}[part]
		if err := syscall.Kill(os.Getpid(), signal); err != nil {
			return err
		}
		time.Sleep(time.Minute) // another thread may receive the signal a moment later
	}
	err = g.Barrier()
	fmt.Fprintln(os.Stderr, err)
	g.Abort(9)
	return nil
}

// recovers reports whether a nil pointer is still a panic, which depends on the handler of a signal.
func recovers() (panics bool) {
	defer func() { panics = recover() != nil }()
	var p *engine
	return p.rank > 0
}

// launch runs the test binary as ranks and returns what it prints.
func launch(t *testing.T, ranks int, part string) (output string, err error) {
	t.Helper()
	if _, err := load(); err != nil {
		t.Skipf("no MPI library: %v", err)
	}
	c, err := Command(ranks, os.Args[0])
	if err != nil {
		t.Skip(err)
	}
	// Launchers of Open MPI that start at the same time are in each other's way in one directory. Names of sockets must
	// be short.
	dir, err := os.MkdirTemp("", "mpi")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	limited := exec.CommandContext(ctx, c.Path, c.Args[1:]...)
	limited.SysProcAttr = c.SysProcAttr
	limited.Env = append(c.Env, asRank+"="+part, "TMPDIR="+dir)
	limited.WaitDelay = 5 * time.Second
	var text bytes.Buffer
	limited.Stdout, limited.Stderr = &text, &text
	err = limited.Run()
	if ctx.Err() != nil {
		t.Fatalf("%d ranks did not end:\n%s", ranks, text.String())
	}
	return text.String(), err
}

// TestSuite: the engine passes the suite with one to four ranks.
func TestSuite(t *testing.T) {
	t.Parallel()
	for ranks := 1; ranks <= 4; ranks++ {
		output, err := launch(t, ranks, "suite")
		if err != nil || !strings.Contains(output, "the suite has passed") {
			t.Errorf("%d ranks: %v\n%s", ranks, err, output)
		}
	}
}

// TestSilent: a rank that is stopped ends all ranks, with its number and the step that it reported.
func TestSilent(t *testing.T) {
	t.Parallel()
	output, err := launch(t, 3, "stopped")
	host, _ := os.Hostname()
	if want := "rank 1 on " + host + " has sent no sign of life"; err == nil || !strings.Contains(output, want) ||
		!strings.Contains(output, "the last step that it reported is 7") {
		t.Errorf("%v, output lacks %q and the step\n%s", err, want, output)
	}
}

// TestKilled: a rank that is killed ends all ranks.
func TestKilled(t *testing.T) {
	t.Parallel()
	began := time.Now()
	if output, err := launch(t, 3, "killed"); err == nil || !strings.Contains(output, "rank 1 ends") {
		t.Errorf("%v; want an error after rank 1 was started\n%s", err, output)
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("the ranks ended after %v; want at most a minute", took)
	}
}

// TestLate: a rank that is busy for longer than a rank may be silent is waited for.
func TestLate(t *testing.T) {
	t.Parallel()
	if output, err := launch(t, 2, "late"); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
}

// TestWaitingIsIdle: a rank that waits two seconds for another uses little processor time.
func TestWaitingIsIdle(t *testing.T) {
	t.Parallel()
	output, err := launch(t, 2, "busy")
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	used, err := time.ParseDuration(strings.TrimSpace(output))
	if err != nil || used > time.Second {
		t.Errorf("it has used %v of a processor, %v; want less than a second, most of it to start", used, err)
	}
}

// TestOtherWorld: a library that sees another number of ranks than the launcher has started is an error.
func TestOtherWorld(t *testing.T) {
	t.Parallel()
	output, err := launch(t, 2, "alone")
	if want := "sees 2 ranks, and the launcher says that it has started 3"; err == nil || !strings.Contains(output, want) {
		t.Errorf("%v, output lacks %q\n%s", err, want, output)
	}
}

// TestNames: the library is looked for under the names of the launcher's family first, and LOR2C_LIBMPI names one.
func TestNames(t *testing.T) {
	for _, tt := range []struct{ name, value, first string }{
		{"LOR2C_LIBMPI", "/opt/libmpi.so", "/opt/libmpi.so"},
		{"PMI_RANK", "0", "libmpi.so.12"},
		{"OMPI_COMM_WORLD_RANK", "0", "libmpi.so.40"},
	} {
		got := names(func(name string) string {
			if name == tt.name {
				return tt.value
			}
			return ""
		})
		if got[0] != tt.first {
			t.Errorf("with %s=%s the first name is %q; want %q", tt.name, tt.value, got[0], tt.first)
		}
	}
}

// TestNoLibrary: a library that is missing or is no MPI library is an error that says so.
func TestNoLibrary(t *testing.T) {
	for _, tt := range []struct{ library, want string }{
		{"libmissing.so.1", "install Open MPI or MPICH"},
		{"libc.so.6", "MPI_Init_thread"},
	} {
		t.Setenv("LOR2C_LIBMPI", tt.library)
		if _, err := load(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v; want one with %q", tt.library, err, tt.want)
		}
	}
}
