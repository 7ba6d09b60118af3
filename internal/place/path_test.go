package place

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestWithoutPath: the errors of package os lose operation and paths, and all other errors stay as they are.
func TestWithoutPath(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	_, path := os.Stat(missing)
	link := os.Rename(missing, missing+"2")
	for _, err := range []error{path, link} {
		if got := WithoutPath(err); got == nil || got.Error() != WithoutPath(path).Error() || got == err {
			t.Errorf("%v: got %v", err, got)
		}
	}
	wrapped := fmt.Errorf("row 7: %w", path)
	for _, err := range []error{nil, fs.ErrClosed, wrapped} {
		if got := WithoutPath(err); got != err {
			t.Errorf("%v: got %v", err, got)
		}
	}
}
