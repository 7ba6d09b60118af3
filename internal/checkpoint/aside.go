package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/lor2c/lor2c/internal/place"
)

// Replaceable returns an error if [WriteDir] would refuse to replace what is at
// path. It returns nil if there is nothing, an empty folder or a directory with
// a manifest.
func Replaceable(path string) error {
	if err := replaceable(filepath.Clean(path)); err != nil {
		return fmt.Errorf("checkpoint: replace %s: %w", path, err)
	}
	return nil
}

// SetAside renames what is at path to the first free name among path.bad,
// path.bad-2 and so on, and returns the new name.
func SetAside(path string) (to string, err error) {
	for n := 1; ; n++ {
		to = path + ".bad"
		if n > 1 {
			to += "-" + strconv.Itoa(n)
		}
		if _, err := os.Lstat(to); errors.Is(err, fs.ErrNotExist) {
			break
		} else if err != nil {
			return "", fmt.Errorf("checkpoint: set %s aside: %w; move it by hand", path, place.WithoutPath(err))
		}
	}
	if err := os.Rename(path, to); err != nil {
		return "", fmt.Errorf("checkpoint: set %s aside: %w; move it by hand", path, place.WithoutPath(err))
	}
	return to, nil
}
