package train

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/runlog"
)

// lockFile marks a run directory that a process is writing to.
const lockFile = ".lock"

// directory is a run directory that this process alone writes to.
type directory struct {
	path  string
	held  bool // it holds a run that has begun
	begun bool // this process has begun or continued a run there
	lock  *os.File
	made  []string // what this process made there, outermost first
}

// errBusy is the error of a directory that another process writes to.
var errBusy = fmt.Errorf("%w: %w", ErrOtherRun, checkpoint.ErrLocked)

// openDirectory looks at a run directory, makes it if need be and keeps other
// processes out of it until close. A directory that is refused is left as it
// was. The kernel drops the lock of a process that dies. Where another process
// has the lock, busy is asked whether to try again, at once.
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
	}
	if err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// open makes the directory and its lock file and takes the lock.
func (d *directory) open() error {
	failed := func(err error, want string) error {
		return fmt.Errorf("train: open %s: %w; want %s", d.path, err, want)
	}
	for dir := filepath.Clean(d.path); !exists(dir); dir = filepath.Dir(dir) {
		d.made = append([]string{dir}, d.made...)
	}
	if err := os.MkdirAll(d.path, 0o777); err != nil {
		return failed(err, "a directory that can be made")
	}
	name := filepath.Join(d.path, lockFile)
	if !exists(name) {
		d.made = append(d.made, name)
	}
	var err error
	if d.lock, err = os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o666); err != nil {
		return failed(err, "a directory that can be written")
	}
	err = checkpoint.Lock(d.lock)
	if err == nil && !d.locked() {
		err = checkpoint.ErrLocked // its last owner has just removed it
	}
	if errors.Is(err, checkpoint.ErrLocked) {
		d.made = nil // it is the other's
		d.lock.Close()
		d.lock = nil
		return fmt.Errorf("train: open %s: another process is training into it; wait for it, or name another with --out: %w", d.path, errBusy)
	}
	if err != nil {
		return failed(fmt.Errorf("lock %s: %w", lockFile, err), "a file system with locks, which keep two processes from writing one run; name a directory on another one with --out")
	}
	return nil
}

// locked reports whether the lock is still what other processes would find.
func (d *directory) locked() bool {
	ours, err := d.lock.Stat()
	if err != nil {
		return false
	}
	theirs, err := os.Stat(filepath.Join(d.path, lockFile))
	return err == nil && os.SameFile(ours, theirs)
}

// check returns an error if another process could have come in.
func (d *directory) check() error {
	if d.locked() {
		return nil
	}
	return fmt.Errorf("train: save into %s: %s was removed or replaced, so another process could write there too; the same command continues from the last checkpoint",
		d.path, lockFile)
}

// close lets other processes in. If no run has begun it removes what this
// process has made.
func (d *directory) close() {
	if !d.begun && !d.held {
		if d.lock != nil && d.locked() {
			_ = os.Remove(filepath.Join(d.path, ConfigFile))
		}
		for i := len(d.made) - 1; i >= 0; i-- {
			_ = os.Remove(d.made[i]) // a folder only if it is empty
		}
	}
	if d.lock != nil {
		d.lock.Close()
	}
}

// look reports whether a directory holds a run that has begun. Its error, which
// wraps ErrOtherRun, says why no run may begin in a directory without one.
func look(path string) (held bool, err error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("train: open %s: %w; want a directory that can be read", path, err)
	}
	if !info.IsDir() {
		return false, fmt.Errorf("train: open %s: it is no directory; name another with --out: %w", path, ErrOtherRun)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return false, fmt.Errorf("train: open %s: %w; want a directory that can be read", path, err)
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
		return false, fmt.Errorf("train: open %s: it holds files but no %s, and a run would write over %s; name another directory with --out: %w",
			path, ConfigFile, place.List(append(progress, ours...)), ErrOtherRun)
	case foreign != nil && !current(info, path):
		return false, fmt.Errorf("train: open %s: it holds files but no %s: %s; want a directory of this run, an empty one or none: %w",
			path, ConfigFile, place.List(foreign), ErrOtherRun)
	}
	return false, nil
}

// hasProgress reports whether a file of a run directory shows that steps were
// taken. What a start leaves behind that went no further shows none.
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

// current reports whether a directory is the one that the command was started
// in, which whoever names it knows to hold other files; never the root.
func current(info fs.FileInfo, path string) bool {
	here, err := os.Stat(".")
	abs, failed := filepath.Abs(path)
	return err == nil && failed == nil && os.SameFile(info, here) && filepath.Dir(abs) != abs
}
