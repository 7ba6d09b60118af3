package checkpoint

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"github.com/lor2c/lor2c/internal/place"
)

// WriteFile writes the file at path so that a crash leaves either the previous
// file or the complete new one: fill writes a temporary file beside it, which
// is flushed to the disk and renamed. On an error the previous file is
// untouched; otherwise the new one has its permissions. A symbolic link at path
// is replaced, not followed; package outfile writes the files that a user
// names.
func WriteFile(path string, fill func(w io.Writer) error) error {
	if err := replaceFile(path, fill); err != nil {
		return fmt.Errorf("checkpoint: write %s: %w; nothing was replaced", path, place.WithoutPath(err))
	}
	return settle(path)
}

// Create writes a file of a directory that [WriteDir] is filling, which flushes it to the disk. fill writes through a
// buffer.
func Create(path string, fill func(w io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	if err := fill(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Close()
}

// replaceFile does the work of WriteFile up to and including the rename.
func replaceFile(path string, fill func(w io.Writer) error) error {
	temp := besideName(path, tempKind)
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	// After the rename no file of that name is left to remove.
	defer os.Remove(temp)
	defer f.Close()
	// If this file system has no locks, CleanTemp may remove the file while it
	// is written; nothing else depends on the lock.
	_ = Lock(f)
	if err := fill(f); err != nil {
		return err
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() {
		if err := f.Chmod(info.Mode().Perm()); err != nil {
			return err
		}
	}
	if err := f.Sync(); err != nil {
		return err
	}
	// Windows does not rename an open file. Elsewhere the file stays open, because CleanTemp would remove it if it were
	// not locked until it has its name.
	if runtime.GOOS == "windows" {
		if err := f.Close(); err != nil {
			return err
		}
	}
	return os.Rename(temp, path)
}

// Link makes link a symbolic link to target, replacing a previous link in one
// step. A relative target counts from the folder of link, as in symlink(2).
func Link(target, link string) error {
	if err := replaceLink(target, link); err != nil {
		return fmt.Errorf("checkpoint: link %s to %s: %w; a new name or an old link is expected", link, target,
			place.WithoutPath(err))
	}
	return settle(link)
}

// replaceLink does the work of Link up to and including the rename.
func replaceLink(target, link string) error {
	// A rename would silently replace a file that this function did not create.
	if info, err := os.Lstat(link); err == nil && info.Mode()&os.ModeSymlink == 0 {
		return fmt.Errorf("there is a %s of that name", kindOf(info.Mode()))
	}
	temp := besideName(link, tempKind)
	if err := os.Symlink(target, temp); err != nil {
		return err
	}
	defer os.Remove(temp)
	return os.Rename(temp, link)
}

// settle flushes the folder of path after a rename to path.
func settle(path string) error {
	if err := SyncDir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("checkpoint: write %s: flush its folder: %w; it is in place, but a power cut may undo that", path,
			place.WithoutPath(err))
	}
	return nil
}
