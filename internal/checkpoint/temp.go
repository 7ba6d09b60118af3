package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"

	"github.com/lor2c/lor2c/internal/place"
)

// These are the kinds of leftovers: a file or directory that is unfinished or
// replaced is called NAME.lor2c-KIND-PID-RANDOM, where NAME is its final name.
// The process id is information for people, and the random number makes the
// name unique. The name contains "lor2c" so that CleanTemp does not remove
// files of other programs.
const (
	tempKind = "tmp"
	oldKind  = "old"
)

var tempPattern = regexp.MustCompile(`^(.+)\.lor2c-(tmp|old)-\d+-[0-9a-f]{16}$`)

// Unfinished reports whether name is that of a temporary file or directory of
// WriteFile, WriteDir or Link.
func Unfinished(name string) bool { return tempPattern.MatchString(name) }

// besideName returns an unused name of the given kind beside final.
func besideName(final, kind string) string {
	return fmt.Sprintf("%s.lor2c-%s-%d-%016x", final, kind, os.Getpid(), rand.Uint64())
}

// ErrLocked is wrapped by the error of [Lock] if another process has the lock.
// A process id in a name would not tell whether that process still runs,
// because ids are reused, in containers immediately.
var ErrLocked = errors.New("another process has the lock")

// CleanTemp removes the unfinished files and directories in runDir whose
// processes have ended. If a process died between moving an old directory aside
// and renaming the new one, the old directory gets its name back. Files that a
// running process writes are kept. Call it before [Latest]. It continues after
// an error and returns all errors joined.
func CleanTemp(runDir string) error {
	entries, err := os.ReadDir(runDir)
	if err != nil {
		return fmt.Errorf("checkpoint: clean %s: %w; a run folder is expected", runDir, place.WithoutPath(err))
	}
	var all []error
	for _, e := range entries {
		m := tempPattern.FindStringSubmatch(e.Name())
		if m == nil {
			continue
		}
		if err := cleanOne(filepath.Join(runDir, e.Name()), filepath.Join(runDir, m[1]), m[2]); err != nil {
			all = append(all, fmt.Errorf("checkpoint: clean %s: %w; remove it by hand if no run uses it",
				filepath.Join(runDir, e.Name()), place.WithoutPath(err)))
		}
	}
	return errors.Join(all...)
}

// cleanOne removes or restores the leftover at path, whose final name is final.
func cleanOne(path, final, kind string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if info.Mode()&os.ModeSymlink != 0 {
		return os.Remove(path)
	}
	f, err := openLeftover(path)
	if err != nil {
		return err
	}
	err = Lock(f)
	f.Close() // Windows does not remove open files
	// If this file system has no locks, the lock of the run directory has to be
	// enough.
	if errors.Is(err, ErrLocked) {
		return nil
	}
	if _, err := os.Lstat(final); kind == oldKind && errors.Is(err, fs.ErrNotExist) {
		return os.Rename(path, final)
	}
	return os.RemoveAll(path)
}
