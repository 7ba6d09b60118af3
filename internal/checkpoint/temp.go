package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
)

// What follows the final name in the name of something unfinished ("tmp") or
// moved aside ("old"): the process, for a person who looks, and a random
// number. The product's name keeps CleanTemp off other programs' files.
const (
	tempKind = "tmp"
	oldKind  = "old"
)

var tempPattern = regexp.MustCompile(`^(.+)\.lor2c-(tmp|old)-\d+-[0-9a-f]{16}$`)

// Unfinished reports whether a name is that of a file or directory which
// WriteFile, WriteDir or Link has not finished.
func Unfinished(name string) bool { return tempPattern.MatchString(name) }

// besideName invents an unused sibling name for final.
func besideName(final, kind string) string {
	return fmt.Sprintf("%s.lor2c-%s-%d-%016x", final, kind, os.Getpid(), rand.Uint64())
}

// ErrLocked is wrapped by the error of [Lock] when another process holds the
// lock. The kernel knows that for sure; a process id in a name would not tell,
// because ids are used again, in containers at once.
var ErrLocked = errors.New("another process holds the lock")

// CleanTemp removes what processes that are gone left unfinished in runDir.
// Where one died between moving an old directory aside and renaming the new
// one over it, the old directory gets its name back. What a living process is
// writing stays. Run it before [Latest]. It goes on after an error and returns
// all of them joined.
func CleanTemp(runDir string) error {
	entries, err := os.ReadDir(runDir)
	if err != nil {
		return fmt.Errorf("checkpoint: clean %s: %w; a run folder is expected", runDir, bare(err))
	}
	var all []error
	for _, e := range entries {
		m := tempPattern.FindStringSubmatch(e.Name())
		if m == nil {
			continue
		}
		if err := cleanOne(filepath.Join(runDir, e.Name()), filepath.Join(runDir, m[1]), m[2]); err != nil {
			all = append(all, fmt.Errorf("checkpoint: clean %s: %w; remove it by hand if no run uses it",
				filepath.Join(runDir, e.Name()), bare(err)))
		}
	}
	return errors.Join(all...)
}

// cleanOne removes or restores one leftover of the given final name.
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
	f.Close() // Windows removes nothing that is open
	// Without locks on this file system the run's own lock has to do.
	if errors.Is(err, ErrLocked) {
		return nil
	}
	if _, err := os.Lstat(final); kind == oldKind && errors.Is(err, fs.ErrNotExist) {
		return os.Rename(path, final)
	}
	return os.RemoveAll(path)
}

// bare drops the path from an error of package os, for messages that have
// named it already.
func bare(err error) error {
	switch e := err.(type) {
	case *fs.PathError:
		return e.Err
	case *os.LinkError:
		return e.Err
	}
	return err
}
