package checkpoint

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestWriteFile(t *testing.T) {
	parent := t.TempDir()
	path := filepath.Join(parent, "state.json")
	write := func(text string, err error) error {
		return WriteFile(path, func(w io.Writer) error {
			_, writeErr := io.WriteString(w, text)
			return errors.Join(writeErr, err)
		})
	}
	for _, text := range []string{"old", "new"} {
		if err := write(text, nil); err != nil {
			t.Fatal(err)
		}
		wantText(t, path, text)
	}
	err := write("half", syscall.ENOSPC)
	wantError(t, err, "checkpoint: write "+path+": no space left on device; nothing was replaced")
	if !errors.Is(err, syscall.ENOSPC) {
		t.Error("the error does not wrap that of fill")
	}
	wantText(t, path, "new")
	wantList(t, parent, "state.json")
	wantError(t, WriteFile(parent, func(io.Writer) error { return nil }),
		"checkpoint: write "+parent+": file exists; nothing was replaced")
}

func TestLink(t *testing.T) {
	parent := t.TempDir()
	link := filepath.Join(parent, "best")
	for _, target := range []string{"checkpoint-1", "checkpoint-2"} {
		if err := Link(target, link); err != nil {
			t.Fatal(err)
		}
		if got, err := os.Readlink(link); err != nil || got != target {
			t.Errorf("link leads to %q, %v; want %q", got, err, target)
		}
	}
	wantList(t, parent, "best")
	file := filepath.Join(parent, "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	wantError(t, Link("best", file),
		"checkpoint: link "+file+" to best: there is a regular file of that name; a new name or an old link is expected")
	wantList(t, parent, "best", "file")
}

// TestSettle removes the folder after the rename.
func TestSettle(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gone", "a")
	err := settle(path)
	wantError(t, err,
		"checkpoint: write "+path+
			": flush its folder: no such file or directory; it is in place, but a power cut may undo that")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Error("the error does not wrap its cause")
	}
}
