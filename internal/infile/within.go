package infile

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/lor2c/lor2c/internal/place"
)

// OpenIn opens the file name of the directory dir as [Open] does. It refuses a
// symbolic link that leads out of dir to a file of another name. The reason is
// that files of a model directory are copied into checkpoints, which people
// publish, and that a downloaded directory may contain a link from vocab.txt
// to, for example, a private key of the user. A link to a file of the same name
// is allowed, because people share files between model directories in this way.
// So are links into the cache of the Hugging Face hub, which stores every file
// in models--ORG--NAME/blobs and links to it from snapshots/REVISION.
func OpenIn(dir, name string) (*os.File, error) {
	path := filepath.Join(dir, name)
	if err := within(dir, path); err != nil {
		return nil, err
	}
	return Open(path)
}

// ReadIn reads the file name of the directory dir as [Read] does, with the rule
// of [OpenIn] about links.
func ReadIn(dir, name string, limit int64) ([]byte, error) {
	path := filepath.Join(dir, name)
	if err := within(dir, path); err != nil {
		return nil, err
	}
	return Read(path, limit)
}

// within returns an error if symbolic links lead from path, a file below dir,
// out of dir.
func within(dir, path string) error {
	root, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return place.WithoutPath(err)
	}
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return place.WithoutPath(err)
	}
	below, err := filepath.Rel(root, target)
	if err == nil && filepath.IsLocal(below) || isBlob(target) || filepath.Base(target) == filepath.Base(path) {
		return nil
	}
	return fmt.Errorf("it is a link to %s, outside of its directory and of another name; want the file itself there, "+
		"a link to a file of the same name, or a snapshot in the cache of the Hugging Face hub", place.Quote(target))
}

// isBlob reports whether path is a stored file of the Hugging Face hub's cache.
func isBlob(path string) bool {
	blobs := filepath.Dir(path)
	return filepath.Base(blobs) == "blobs" && strings.HasPrefix(filepath.Base(filepath.Dir(blobs)), "models--")
}
