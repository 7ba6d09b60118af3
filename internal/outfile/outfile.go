// Package outfile writes the files that a user names as outputs. A user may name
// anything: a new file, a symbolic link, a pipe, /dev/null. The file is replaced
// in one step where that is possible, and what is no regular file is written
// through, as a shell's redirection would.
package outfile

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/lor2c/lor2c/internal/checkpoint"
)

// Write writes the file at path.
//
//   - Where there is nothing or a regular file, fill writes a temporary file
//     beside it, which is renamed, so that a crash or an error leaves the previous
//     file. It keeps the permissions of the file that it replaces.
//   - A symbolic link stays, and the same happens at its target.
//   - A device, a pipe and anything below /dev and /proc is opened and written.
//   - A regular file that can be written in a folder that cannot is overwritten.
func Write(path string, fill func(w io.Writer) error) error {
	if err := Check(path); err != nil {
		return err
	}
	target, through, err := resolve(path)
	if err != nil {
		return fault(path, err)
	}
	if !through {
		err := checkpoint.WriteFile(target, fill)
		if !errors.Is(err, fs.ErrPermission) && !errors.Is(err, syscall.EROFS) && !errors.Is(err, syscall.EBUSY) {
			return err
		}
		if _, missing := os.Stat(target); missing != nil {
			return err
		}
	}
	if err := writeThrough(target, fill); err != nil {
		return fault(path, err)
	}
	return nil
}

// WriteBytes writes content to the file at path as [Write] does.
func WriteBytes(path string, content []byte) error {
	return Write(path, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
}

// WriteJSON writes v as indented JSON to the file at path as [Write] does.
func WriteJSON(path string, v any) error {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fault(path, err)
	}
	return WriteBytes(path, append(raw, '\n'))
}

// writeThrough opens what is at path and writes to it.
func writeThrough(path string, fill func(w io.Writer) error) error {
	f := os.Stderr
	if !same(path, os.Stderr) {
		var err error
		if f, err = os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0); err != nil {
			return err
		}
		defer f.Close()
	}
	w := bufio.NewWriter(f)
	if err := fill(w); err != nil {
		return err
	}
	return w.Flush()
}

// Check returns why the file at path should not or cannot be written, so that a
// command can say so before its work. inputs are the files and folders that the
// command reads: neither one of them nor a file in one of the folders may be
// overwritten.
func Check(path string, inputs ...string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		target, _, err := resolve(path)
		if err != nil {
			return fault(path, err)
		}
		folder := filepath.Dir(target)
		if info, err := os.Stat(folder); err != nil {
			return fault(path, fmt.Errorf("there is no folder %s", folder))
		} else if !info.IsDir() {
			return fault(path, fmt.Errorf("%s is no folder", folder))
		}
		return nil
	}
	if err != nil {
		return fault(path, err)
	}
	if info.IsDir() {
		return fault(path, errors.New("it is a folder; want the name of a file"))
	}
	if !info.Mode().IsRegular() {
		return nil
	}
	for _, input := range inputs {
		in, err := os.Stat(input)
		if err != nil {
			continue
		}
		if os.SameFile(info, in) {
			return fault(path, errors.New("this command reads that file; want another one"))
		}
		if target, _, err := resolve(path); err == nil && in.IsDir() {
			if folder, err := os.Stat(filepath.Dir(target)); err == nil && os.SameFile(folder, in) {
				return fault(path, fmt.Errorf("this command reads the files in %s; want a file elsewhere", input))
			}
		}
	}
	// A rename asks only the folder.
	if err := writable(path); err != nil {
		return fault(path, err)
	}
	return nil
}

// IsStdout reports whether path is a name of this process's standard output, such
// as /dev/stdout. Opening that anew would write over what is there already where
// standard output is a regular file.
func IsStdout(path string) bool {
	return same(path, os.Stdout)
}

func same(path string, f *os.File) bool {
	a, err := os.Stat(path)
	if err != nil {
		return false
	}
	b, err := f.Stat()
	return err == nil && os.SameFile(a, b)
}

// resolve follows the symbolic links at path to a name that is none, which need
// not exist. through says that what is there must be written and not replaced.
func resolve(path string) (target string, through bool, err error) {
	const most = 40 // as many as Linux follows
	for range most {
		if system(path) {
			return path, true, nil
		}
		info, err := os.Lstat(path)
		if errors.Is(err, fs.ErrNotExist) {
			return path, false, nil
		}
		if err != nil {
			return "", false, err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			return path, !info.Mode().IsRegular(), nil
		}
		link, err := os.Readlink(path)
		if err != nil {
			return "", false, err
		}
		if !filepath.IsAbs(link) {
			link = filepath.Join(filepath.Dir(path), link)
		}
		path = link
	}
	return "", false, errors.New("too many symbolic links")
}

// system reports whether path lies where the system keeps no files of users.
func system(path string) bool {
	full, err := filepath.Abs(path)
	if err != nil || strings.HasPrefix(full, "/dev/shm/") {
		return false
	}
	return strings.HasPrefix(full, "/dev/") || strings.HasPrefix(full, "/proc/")
}

// fault puts the path in front of what is wrong with it.
func fault(path string, err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return fmt.Errorf("outfile: write %s: %w", path, err)
}
