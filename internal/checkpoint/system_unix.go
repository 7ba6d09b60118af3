//go:build unix

package checkpoint

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Lock takes the advisory lock of an open file or directory, or fails at once.
// The kernel releases it when f is closed or the process ends in whatever way.
// The error wraps [ErrLocked] where another open file holds the lock; any other
// error says that there are no locks here, as on some network file systems.
func Lock(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == unix.EWOULDBLOCK {
		return fmt.Errorf("%w: %w", ErrLocked, err)
	}
	return err
}

// openLeftover opens a file or directory to be locked, and neither follows a
// link nor waits for a pipe.
func openLeftover(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
}

// SyncDir makes renames and new names in dir survive a power cut.
func SyncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	// File systems that cannot flush a directory answer EINVAL; their names
	// are as durable as they will get.
	if err := f.Sync(); err != nil && bare(err) != unix.EINVAL {
		return err
	}
	return nil
}

// mapView maps size bytes of a file read-only.
func mapView(f *os.File, size int) ([]byte, error) {
	return unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
}

func unmapView(view []byte) error { return unix.Munmap(view) }

// dropView lets the system take back whole pages of a view. Advice that is
// refused costs memory, never correctness.
func dropView(pages []byte) { _ = unix.Madvise(pages, unix.MADV_DONTNEED) }
