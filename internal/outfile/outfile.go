// Package outfile writes the files that a user names as outputs. A user may name
// anything: a new file, a symbolic link, a pipe, /dev/null. A regular file is
// replaced in one step if possible. Anything else is opened and written, as a
// shell's redirection does.
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
	"github.com/lor2c/lor2c/internal/place"
)

// Write writes the file at path. How depends on what is there:
//
//   - If there is nothing or a regular file, fill writes a temporary file
//     beside it, which is renamed, so that a crash or an error leaves the previous
//     file. It keeps the permissions of the file that it replaces.
//   - A symbolic link is kept, and the same is done at its target.
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

// writeThrough opens the file at path and writes to it.
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

// Check returns an error if the file at path cannot or should not be written,
// so that a command can fail before it starts its work. inputs are the files
// and folders that the command reads; neither they nor a file in one of the
// folders may be overwritten.
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
			return fault(path, fmt.Errorf("%s is not a folder", folder))
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
	// A rename needs permission for the folder only.
	if err := writable(path); err != nil {
		return fault(path, err)
	}
	return nil
}

// Target returns the name of the file that a write to path replaces; for a symbolic link it is the name of the file
// that the link leads to. whole is false if [Write] opens path and writes to it instead, as for a pipe.
func Target(path string) (target string, whole bool, err error) {
	target, through, err := resolve(path)
	if err != nil {
		return "", false, fault(path, err)
	}
	return target, !through, nil
}

// IsStdout reports whether path is a name of this process's standard output, such
// as /dev/stdout. Opening it again would overwrite earlier output if standard
// output is a regular file.
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

// resolve follows the symbolic links at path to a name that is not a link. The
// target need not exist. through is true if the target must be opened and
// written instead of being replaced.
func resolve(path string) (target string, through bool, err error) {
	const most = 40 // the limit of Linux
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

// system reports whether path lies below /dev or /proc.
func system(path string) bool {
	full, err := filepath.Abs(path)
	if err != nil || strings.HasPrefix(full, "/dev/shm/") {
		return false
	}
	return strings.HasPrefix(full, "/dev/") || strings.HasPrefix(full, "/proc/")
}

// fault returns err with the path in front of it.
func fault(path string, err error) error {
	return fmt.Errorf("outfile: write %s: %w", path, place.WithoutPath(err))
}
