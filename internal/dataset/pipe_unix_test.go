//go:build unix

package dataset

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestPipe: a train file that is a pipe is read once, for its classes, its
// examples and a dev split.
func TestPipe(t *testing.T) {
	raw, err := os.ReadFile("testdata/custom/train.csv")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "pipe.csv")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip(err)
	}
	go func() {
		if f, err := os.OpenFile(path, os.O_WRONLY, 0); err == nil {
			f.Write(raw)
			f.Close()
		}
	}()
	train, dev := divided(t,
		Config{Task: "custom", Train: path, Dev: "0.5", Text: []string{"body"}, Label: "stars", Kind: Regression}, 1)
	if len(train.Examples)+len(dev.Examples) != 3 {
		t.Errorf("%d and %d examples; want 3 in all", len(train.Examples), len(dev.Examples))
	}
	_, whole := load(t,
		Config{Task: "custom", Train: "testdata/custom/train.csv", Text: []string{"body"}, Label: "stars", Kind: Regression},
		"train")
	if whole.Files[0].SHA256 != train.Files[0].SHA256 {
		t.Error("the hash differs from that of the bytes in the pipe")
	}
}

// TestLoadIsInterrupted: reading ends with the context, for a pipe without a
// writer and in the middle of a file.
func TestLoadIsInterrupted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe.csv")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	_, err := Open(ctx, Config{Task: "custom", Train: path, Dev: "0.5", Text: []string{"a"}, Label: "b"}, Request{})
	if !errors.Is(err, context.Canceled) || !strings.HasPrefix(err.Error(), "dataset: open "+path) {
		t.Errorf("error %v", err)
	}
	s, err := Open(t.Context(), Config{Task: "mnli", Dir: "testdata/glue"}, Request{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(ctx, "train"); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if _, err := Encode(ctx, newLetters(), sample(), 5, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
