//go:build unix

package checkpoint

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/lor2c/lor2c/internal/place"
)

// Lock takes the advisory lock of an open file or directory without waiting.
// The kernel releases the lock when f is closed or the process ends for any
// reason. The error wraps [ErrLocked] if another open file has the lock. Any
// other error means that the file system has no locks, as some network file
// systems do.
func Lock(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	for err == unix.EINTR { // a signal arrived, as from a debugger
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	return lockError(err)
}

// lockError returns the error of Lock for one of flock.
func lockError(err error) error {
	if err == unix.EWOULDBLOCK {
		return fmt.Errorf("%w: %w", ErrLocked, err)
	}
	return err
}

// openLeftover opens a file or directory for Lock. It does not follow a link
// and does not wait for a pipe.
func openLeftover(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
}

// SyncDir makes renames and new names in dir survive a power failure.
func SyncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	// File systems that cannot flush a directory return EINVAL, and nothing
	// more can be done there.
	if err := f.Sync(); err != nil && place.WithoutPath(err) != unix.EINVAL {
		return err
	}
	return nil
}

// mapView maps size bytes of a file read-only.
func mapView(f *os.File, size int) ([]byte, error) {
	return unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
}

func unmapView(view []byte) error { return unix.Munmap(view) }

// dropView allows the system to reclaim whole pages of a view. If it refuses,
// only memory is lost.
func dropView(pages []byte) { _ = unix.Madvise(pages, unix.MADV_DONTNEED) }
