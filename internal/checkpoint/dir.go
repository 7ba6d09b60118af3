package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/lor2c/lor2c/internal/place"
)

// WriteDir creates the directory final so that a crash at any moment leaves
// either the previous directory or the complete new one. fill writes regular
// files and folders into a temporary sibling; then MANIFEST.sha256 lists them,
// everything is flushed to the disk and the sibling takes the final name.
//
// A previous directory is replaced only if it is empty or has a manifest, which
// means that WriteDir wrote it. On an error, or a panic of fill, the temporary
// directory is removed and the previous one is untouched.
func WriteDir(final string, fill func(tmp string) error) error {
	final = filepath.Clean(final)
	old, err := replaceDir(final, fill)
	if err != nil {
		return fmt.Errorf("checkpoint: write %s: %w; nothing was replaced", final, err)
	}
	if err := settle(final); err != nil {
		return err
	}
	// The new directory is complete, so a failure here does not make the save
	// fail. CleanTemp removes the rest later.
	_ = os.RemoveAll(old)
	return nil
}

// replaceDir does the work of WriteDir up to and including the rename. It
// returns the path that the previous directory, if there was one, was moved to.
func replaceDir(final string, fill func(tmp string) error) (old string, err error) {
	if err := replaceable(final); err != nil {
		return "", err
	}
	temp := besideName(final, tempKind)
	if err := os.Mkdir(temp, 0o777); err != nil {
		return "", place.WithoutPath(err)
	}
	installed := false
	defer func() {
		if !installed {
			_ = os.RemoveAll(temp)
		}
	}()
	d, err := os.Open(temp)
	if err != nil {
		return "", place.WithoutPath(err)
	}
	defer d.Close()
	// If this file system has no locks, CleanTemp may remove the directory
	// while it is written; nothing else depends on the lock.
	_ = Lock(d)

	if err := fill(temp); err != nil {
		return "", err
	}
	if err := seal(temp); err != nil {
		return "", err
	}
	old, err = install(temp, final)
	installed = err == nil
	return old, err
}

// replaceable returns an error for a directory that WriteDir did not write, so
// that a mistyped output path does not destroy a folder.
func replaceable(final string) error {
	info, err := os.Lstat(final)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return place.WithoutPath(err)
	case !info.IsDir():
		return fmt.Errorf("there is a %s of that name", kindOf(info.Mode()))
	}
	entries, err := os.ReadDir(final)
	if err != nil {
		return place.WithoutPath(err)
	}
	if _, err := os.Lstat(filepath.Join(final, manifestName)); err != nil && len(entries) > 0 {
		return fmt.Errorf("there is a folder of that name without %s, so lor2c did not write it", manifestName)
	}
	return nil
}

// errNoExchange is wrapped by the error of exchange if the file system cannot
// swap two names in one step.
var errNoExchange = errors.New("two names cannot be exchanged here")

// exchangeDirs is exchange; a test replaces it to simulate file systems that
// lack it.
var exchangeDirs = exchange

// install gives the sealed directory temp its final name and returns the new
// name of the directory that had it.
func install(temp, final string) (old string, err error) {
	if _, err := os.Lstat(final); errors.Is(err, fs.ErrNotExist) {
		return temp, place.WithoutPath(os.Rename(temp, final))
	}
	err = exchangeDirs(temp, final)
	if !errors.Is(err, errNoExchange) {
		return temp, err
	}
	// This file system cannot exchange two names. Between the two renames no
	// directory has the final name. If the process dies there, CleanTemp gives
	// the name back to the old directory.
	old = besideName(final, oldKind)
	if err := os.Rename(final, old); err != nil {
		return "", place.WithoutPath(err)
	}
	if err := os.Rename(temp, final); err != nil {
		return "", errors.Join(place.WithoutPath(err), os.Rename(old, final))
	}
	return old, nil
}

// RemoveDir renames dir and then removes it, so that nobody sees a half-removed
// directory under its name. It returns nil if dir does not exist.
func RemoveDir(dir string) error {
	dir = filepath.Clean(dir)
	aside := besideName(dir, tempKind)
	err := os.Rename(dir, aside)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = os.RemoveAll(aside)
	}
	if err != nil {
		return fmt.Errorf("checkpoint: remove %s: %w; remove it by hand", dir, place.WithoutPath(err))
	}
	return nil
}

// WriteJSON writes v as indented JSON to path. It is for files in a directory
// that WriteDir fills. Errors are those of encoding/json and the file system,
// unchanged.
func WriteJSON(path string, v any) error {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(raw, '\n'), 0o666)
}
