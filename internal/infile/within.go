package infile

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/lor2c/lor2c/internal/place"
)

// OpenIn opens the file name of the directory dir as [Open] does. It refuses a
// symbolic link that leads out of dir, because what is read from a model
// directory is copied into checkpoints, which people publish. The one exception
// is the cache of the Hugging Face hub, which keeps every file in
// models--ORG--NAME/blobs and lets snapshots/REVISION link to it.
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

// within refuses a path below dir whose links lead elsewhere.
func within(dir, path string) error {
	root, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return bare(err)
	}
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return bare(err)
	}
	below, err := filepath.Rel(root, target)
	if err == nil && filepath.IsLocal(below) || isBlob(target) {
		return nil
	}
	return fmt.Errorf("it is a link to %s, outside of its directory; want the file itself there, or a snapshot in the cache of the "+
		"Hugging Face hub", place.Quote(target))
}

// isBlob reports whether path is a stored file of the Hugging Face hub's cache.
func isBlob(path string) bool {
	blobs := filepath.Dir(path)
	return filepath.Base(blobs) == "blobs" && strings.HasPrefix(filepath.Base(filepath.Dir(blobs)), "models--")
}
