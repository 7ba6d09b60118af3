package train

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/runlog"
)

// lockFile marks a run directory that a process is writing to.
const lockFile = ".lock"

// LockPath returns the path of the file that a process which trains in a run directory holds a lock on.
func LockPath(run string) string { return filepath.Join(run, lockFile) }

// directory is a run directory that is locked for this process.
type directory struct {
	path  string
	held  bool // the directory has a run that took at least one step
	begun bool // this process has begun or continued a run there
	// configured means that there was a run file, of a start that took no step, or of a run.
	configured bool
	lock       *os.File
	made       []string // paths that this process created, parents first
}

// errBusy is wrapped when another process has locked the run directory.
var errBusy = errors.Join(ErrOtherRun, checkpoint.ErrLocked)

// refusal is an error that wraps a kind of error, such as ErrOtherRun, but does
// not repeat its text.
type refusal struct {
	text string
	kind error
}

func (r *refusal) Error() string { return r.text }
func (r *refusal) Unwrap() error { return r.kind }

// otherRun returns the error for a directory that a run may not use.
func otherRun(path, format string, a ...any) error {
	return &refusal{fmt.Sprintf("train: open %s: %s", path, fmt.Sprintf(format, a...)), ErrOtherRun}
}

// openDirectory checks a run directory, creates it if it does not exist, and locks
// it until close is called. If it returns an error, the directory is left
// unchanged. The kernel releases the lock of a process that dies. If another
// process has the lock, openDirectory calls busy, and tries again if it returns
// true.
func openDirectory(path string, busy func() bool) (*directory, error) {
	if _, err := look(path); err != nil {
		return nil, err
	}
	d := &directory{path: path}
	err := d.open()
	for errors.Is(err, checkpoint.ErrLocked) && busy() {
		err = d.open()
	}
	if err == nil {
		// Another process may have begun a run there since the first look.
		d.held, err = look(path)
		d.configured = exists(filepath.Join(path, ConfigFile))
	}
	if err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// busy returns a function that openDirectory calls while another process has locked the directory out. It waits a
// moment and returns true if o.Wait is set and ctx has not ended.
func (o Options) busy(ctx context.Context, out string) func() bool {
	said := false
	return func() bool {
		if !o.Wait {
			return false
		}
		if !said {
			said = true
			fmt.Fprintf(o.Stderr, "another process is training in %s; waiting for it\n", out)
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(200 * time.Millisecond):
			return true
		}
	}
}

// open creates the directory and its lock file, and takes the lock.
func (d *directory) open() error {
	failed := func(err error, advice string) error {
		return fmt.Errorf("train: open %s: %w; %s", d.path, err, advice)
	}
	for dir := filepath.Clean(d.path); !exists(dir); dir = filepath.Dir(dir) {
		d.made = append([]string{dir}, d.made...)
	}
	if err := os.MkdirAll(d.path, 0o777); err != nil {
		return failed(fmt.Errorf("cannot create the run directory: %w", err), "choose another with --out")
	}
	name := LockPath(d.path)
	if !exists(name) {
		d.made = append(d.made, name)
	}
	var err error
	if d.lock, err = os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o666); err != nil {
		return failed(fmt.Errorf("cannot write to the run directory: %w", err), "choose another with --out")
	}
	err = checkpoint.Lock(d.lock)
	if err == nil && !d.locked() {
		err = checkpoint.ErrLocked // the previous process has just removed the file
	}
	if errors.Is(err, checkpoint.ErrLocked) {
		d.made = nil // the other process uses them
		d.lock.Close()
		d.lock = nil
		return &refusal{fmt.Sprintf("train: open %s: another process is training in this directory; wait for it, "+
			"or choose another with --out", d.path), errBusy}
	}
	if err != nil {
		return failed(fmt.Errorf("lock %s: %w", lockFile, err), "a lock keeps two processes from writing to one run; "+
			"choose a directory on a file system that supports locks with --out")
	}
	return nil
}

// locked reports whether the lock file in the directory is still the one that this
// process has locked.
func (d *directory) locked() bool {
	ours, err := d.lock.Stat()
	if err != nil {
		return false
	}
	theirs, err := os.Stat(LockPath(d.path))
	return err == nil && os.SameFile(ours, theirs)
}

// check returns an error if the lock file was removed or replaced, because another
// process could then write to the directory.
func (d *directory) check() error {
	if d.locked() {
		return nil
	}
	return fmt.Errorf("train: save into %s: %s was removed or replaced, so another process could write there too; "+
		"the same command continues from the last checkpoint", d.path, lockFile)
}

// close releases the lock. If no run has begun, it also removes the files and
// directories that this process created.
func (d *directory) close() {
	if !d.begun && !d.held {
		// Without the run file, the logs of an earlier start that took no step would seem to belong to another program,
		// and the directory would be refused.
		if !d.configured && d.lock != nil && d.locked() {
			_ = os.Remove(filepath.Join(d.path, ConfigFile))
		}
		for i := len(d.made) - 1; i >= 0; i-- {
			_ = os.Remove(d.made[i]) // fails for a directory that is not empty
		}
	}
	if d.lock != nil {
		d.lock.Close()
	}
}

// checkpointAbove returns the nearest of path and its parents that is a checkpoint or adapter directory with a
// manifest, or "" if there is none.
func checkpointAbove(path string) string {
	full, err := filepath.Abs(path)
	if err != nil {
		return ""
	}
	for !checkpoint.IsDir(full) {
		parent := filepath.Dir(full)
		if parent == full {
			return ""
		}
		full = parent
	}
	return full
}

// look reports whether a directory has a run that took at least one step. If it has
// none, and has files that a new run must not mix with, look returns an error that
// wraps ErrOtherRun.
func look(path string) (held bool, err error) {
	if saved := checkpointAbove(path); saved != "" {
		return false, otherRun(path,
			"it is inside the saved directory %s, which is removed as a whole; choose another with --out", saved)
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if target, err := os.Readlink(path); err == nil {
			return false, otherRun(path,
				"it is a link to %s, which does not exist; create that directory, or choose another with --out", target)
		}
		return false, nil
	}
	if err != nil {
		return false,
			place.Given(fmt.Errorf("train: open %s: cannot read the run directory: %w; choose another with --out", path, err))
	}
	if !info.IsDir() {
		return false, otherRun(path, "it is not a directory; choose another with --out")
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return false, fmt.Errorf("train: open %s: cannot read the run directory: %w; choose another with --out", path, err)
	}
	var progress, ours, foreign []string
	configured := false
	for _, e := range entries {
		switch name := e.Name(); {
		case name == ConfigFile:
			configured = true
		case hasProgress(path, name):
			progress = append(progress, name)
		case runlog.OwnFile(name):
			ours = append(ours, name)
		case !strings.HasPrefix(name, ".") && !checkpoint.Unfinished(name) && name != "lost+found":
			foreign = append(foreign, name)
		}
	}
	switch {
	case configured:
		return progress != nil, nil
	case progress != nil || ours != nil:
		return false, otherRun(path, "it has no %s, and a run would overwrite %s; choose another directory with --out",
			ConfigFile, place.List(append(progress, ours...)))
	case foreign != nil && !current(info, path):
		return false, otherRun(path,
			"it has other files but no %s: %s; choose the directory of this run, or an empty or new one",
			ConfigFile, place.List(foreign))
	}
	return false, nil
}

// hasProgress reports whether a file of a run directory shows that the run took at
// least one step. Files that are written before the first step do not.
func hasProgress(dir, name string) bool {
	switch name {
	case bestLink, finalDir:
		return true
	case runlog.MetricsFile:
		info, err := os.Stat(filepath.Join(dir, name))
		return err != nil || info.Size() > 0
	}
	_, saved := checkpoint.Step(name, checkpointPrefix)
	return saved || runlog.IsResult(name)
}

// current reports whether a directory is the working directory of the command, other
// than the root. A user who names it knows that it has other files.
func current(info fs.FileInfo, path string) bool {
	here, err := os.Stat(".")
	abs, failed := filepath.Abs(path)
	return err == nil && failed == nil && os.SameFile(info, here) && filepath.Dir(abs) != abs
}

// exists reports whether path is the name of a file, a directory or a link.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
