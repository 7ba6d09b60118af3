package train

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestKillAtCalls kills a run at system calls that change a directory, each
// time at a later call of its kind. The files must be those of an uninterrupted
// run. These calls are the critical moments, which random kills rarely meet.
// The test needs strace; LOR2C_KILLS sets the number of kills.
func TestKillAtCalls(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil || testing.Short() {
		t.Skip("needs strace, and kills processes, which -short leaves out")
	}
	if err := exec.Command(strace, "-o", os.DevNull, "true").Run(); err != nil {
		t.Skipf("strace may not trace here: %v", err)
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
			p.Args = append([]string{strace, "-f", "-o", os.DevNull, "-e", "trace=" + call, "-e",
				fmt.Sprintf("inject=%s:signal=SIGKILL:when=%d", call, at)}, p.Args...)
			p.Path = strace
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
