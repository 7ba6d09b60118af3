//go:build unix

package runlog

import (
	"errors"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestFullAtStart: if no byte can be written, Open returns the error, and the log can be opened later.
func TestFullAtStart(t *testing.T) {
	// A limit of the size of files stands for the full disk. Its signal would end the process.
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Skip(err)
	}
	dir, none := t.TempDir(), before
	none.Cur = 0
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &none); err != nil {
		t.Skip(err)
	}
	_, err := Open(dir, quiet())
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(err, syscall.EFBIG) {
		t.Errorf("error is %v; want %v", err, syscall.EFBIG)
	}
	if err := open(t, dir, quiet()).Close(); err != nil {
		t.Error(err)
	}
}

// TestTailOfPipe: a pipe in the place of the log is an error at once, although nobody writes to it.
func TestTailOfPipe(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, MetricsFile), 0o600); err != nil {
		t.Fatal(err)
	}
	err := (&Tail{Dir: dir}).Read()
	if err == nil || !strings.Contains(err.Error(), MetricsFile+": it is a pipe") {
		t.Errorf("error %v; want one that names the pipe", err)
	}
}
