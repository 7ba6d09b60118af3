package train

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// lockFile marks a run directory that a process is writing to.
const lockFile = ".lock"

// lock makes the run directory, if need be, and keeps other processes out of it
// until unlock. The kernel drops the lock of a process that dies.
func lock(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("train: open %s: %w; want a directory that can be made", dir, err)
	}
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("train: open %s: %w; want a directory that can be written", dir, err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("train: open %s: another process is training into it; wait for it, or name another with --out: %w", dir, ErrOtherRun)
	}
	return func() { f.Close() }, nil
}
