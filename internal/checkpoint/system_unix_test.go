//go:build unix

package checkpoint

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestLock: only a lock that another open file has is ErrLocked. A file system without locks has other errors.
func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	files := make([]*os.File, 2)
	for i := range files {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files[i] = f
	}
	if err := Lock(files[0]); err != nil {
		t.Fatal(err)
	}
	if err := Lock(files[1]); !errors.Is(err, ErrLocked) {
		t.Errorf("a file that is locked: %v; want ErrLocked", err)
	}
	for _, err := range []error{unix.ENOLCK, unix.EOPNOTSUPP, unix.ENOSYS} {
		if got := lockError(err); errors.Is(got, ErrLocked) || !errors.Is(got, err) {
			t.Errorf("%v is %v; want the error itself", err, got)
		}
	}
	if err := lockError(nil); err != nil {
		t.Error(err)
	}
}
