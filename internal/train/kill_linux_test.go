package train

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestKillAtCalls kills a run at system calls that change a directory, each
// time at a later call of its kind. The files must be those of an uninterrupted
// run. These calls are the critical moments, which random kills rarely meet.
// The test needs strace; LOR2C_KILLS sets the number of kills.
func TestKillAtCalls(t *testing.T) {
	strace := findStrace(t)
	if testing.Short() {
		t.Skip("kills processes, which -short leaves out")
	}
	dir := t.TempDir()
	c := demoConfig(t, dir, 40)
	c.Out = filepath.Join(dir, "uninterrupted")
	if err := process(t, c).Run(); err != nil {
		t.Fatal(err)
	}
	want := contents(t, c.Out)
	calls := []string{"renameat,renameat2", "unlinkat", "mkdirat", "symlinkat", "fsync", "openat", "ftruncate", "write"}
	r := rand.New(rand.NewPCG(uint64(killCount(t)), 2))
	for kill := range killCount(t) {
		call := calls[kill%len(calls)]
		c.Out = filepath.Join(dir, fmt.Sprint("killed-", kill))
		died := 0
		for died == 0 || r.IntN(2) > 0 { // once or several times
			most := 12
			if call == "openat" || call == "write" {
				most = 200
			}
			at := 1 + r.IntN(most)
			p := process(t, c)
			inject(p, strace, call, fmt.Sprintf("signal=SIGKILL:when=%d", at))
			died++
			if p.Run() == nil {
				break // the run has fewer of these calls
			}
		}
		if err := process(t, c).Run(); err != nil {
			t.Fatalf("after kills at %s: %v", call, err)
		}
		t.Logf("%d processes should have been killed at %s", died, call)
		sameFiles(t, contents(t, c.Out), want)
	}
}

// findStrace returns the path of strace, or skips the test.
func findStrace(t *testing.T) string {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("needs strace")
	}
	if err := exec.Command(strace, "-o", os.DevNull, "true").Run(); err != nil {
		t.Skipf("strace may not trace here: %v", err)
	}
	return strace
}

// inject makes a process run under strace, which does something to its calls of a kind.
func inject(p *exec.Cmd, strace, call, what string) {
	p.Args = append([]string{strace, "-f", "-o", os.DevNull, "-e", "trace=" + call, "-e", "inject=" + call + ":" + what},
		p.Args...)
	p.Path = strace
}

// TestNoLocks: on a file system without locks the error says so and leaves no directory. It does not speak of another
// process. The test needs strace.
func TestNoLocks(t *testing.T) {
	strace := findStrace(t)
	c := demoConfig(t, t.TempDir(), 8)
	for name, text := range map[string]string{
		"ENOLCK": "no locks available", "EOPNOTSUPP": "operation not supported",
	} {
		p := process(t, c)
		inject(p, strace, "flock", "error="+name)
		var said strings.Builder
		p.Stderr = &said
		want := "lock .lock: " + text + "; a lock keeps two processes from writing to one run; choose a directory on a " +
			"file system that supports locks with --out"
		if err := p.Run(); err == nil || !strings.Contains(said.String(), want) {
			t.Errorf("%s: %v, and the run said %q; want %q", name, err, said.String(), want)
		}
		if _, err := os.Stat(c.Out); err == nil {
			t.Errorf("%s: the run left its directory", name)
		}
	}
}
