//go:build unix

package infile_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/lor2c/lor2c/internal/infile"
)

func pipe(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip(err)
	}
	return path
}

// TestReadDoesNotWait reads pipes that have no writer, and devices without an
// end.
func TestReadDoesNotWait(t *testing.T) {
	for path, want := range map[string]string{
		pipe(t):     "it is a pipe; a regular file is expected",
		"/dev/zero": "it is a device; a regular file is expected",
		"/dev/null": "it is a device; a regular file is expected",
	} {
		_, err := infile.Read(path, 10)
		wantError(t, err, want)
	}
}

func TestReadStream(t *testing.T) {
	path := pipe(t)
	if !infile.IsStream(path) || !infile.IsStream("/dev/null") || infile.IsStream(write(t, "a")) ||
		infile.IsStream(path+"none") {
		t.Error("IsStream misjudges a pipe, a device, a file or nothing")
	}
	text := strings.Repeat("line\n", 1<<16)
	for _, limit := range []int64{int64(len(text)), int64(len(text)) - 1} {
		wrote := make(chan error)
		go func() {
			// The write fails if the reader stops early.
			err := os.WriteFile(path, []byte(text), 0)
			if errors.Is(err, syscall.EPIPE) {
				err = nil
			}
			wrote <- err
		}()
		got, err := infile.ReadStream(context.Background(), path, limit)
		if limit == int64(len(text)) {
			if err != nil || string(got) != text {
				t.Errorf("%d bytes, %v; want %d", len(got), err, len(text))
			}
		} else {
			wantError(t, err, "it has more than 320.0 KiB, which is all that is allowed for such a file")
		}
		if err := <-wrote; err != nil {
			t.Error(err)
		}
	}
	_, err := infile.ReadStream(context.Background(), "/dev/zero", 1<<20)
	wantError(t, err, "it has more than 1 MiB, which is all that is allowed for such a file")
	got, err := infile.ReadStream(context.Background(), write(t, "file"), 10)
	if err != nil || string(got) != "file" {
		t.Errorf("a regular file: %q, %v", got, err)
	}
}

// TestReadStreamCancelled cancels a read that waits for a writer.
func TestReadStreamCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := infile.ReadStream(ctx, pipe(t), 10); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v; want context.Canceled", err)
	}
}
