//go:build unix

package config

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestPipe reads a run file from a pipe, as a shell passes <(command), and
// stops waiting for a pipe without a writer.
func TestPipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip(err)
	}
	go os.WriteFile(pipe, []byte("{model: m, data: {task: rte, dir: d}, out: o}"), 0)
	if c := mustLoad(t, pipe, nil, nil); c.Model != "m" {
		t.Errorf("got %+v", c)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := LoadContext(ctx, pipe, nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}
