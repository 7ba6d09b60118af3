package watch

import (
	"os"
	"syscall"
	"testing"

	"github.com/lor2c/lor2c/internal/train"
)

// TestTrainer: the process that holds the lock of a run is found, with its memory, until it lets go.
func TestTrainer(t *testing.T) {
	if _, err := os.Stat("/proc/locks"); err != nil {
		t.Skip("this system has no /proc/locks")
	}
	dir := t.TempDir()
	if pid, _ := trainer(dir); pid != 0 {
		t.Errorf("process %d trains in an empty directory", pid)
	}
	f, err := os.Create(train.LockPath(dir))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		t.Fatal(err)
	}
	pid, bytes := trainer(dir)
	if pid != os.Getpid() || bytes < 1<<20 {
		t.Errorf("process %d with %d bytes; want %d", pid, bytes, os.Getpid())
	}
	f.Close()
	if pid, _ := trainer(dir); pid != 0 {
		t.Errorf("process %d trains after the lock was released", pid)
	}
}
