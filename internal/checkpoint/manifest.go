package checkpoint

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/place"
)

// manifestName is written last, so its presence shows that all other files are
// complete.
const manifestName = "MANIFEST.sha256"

// ErrCorrupt is wrapped by the errors of [VerifyDir] for a directory that is
// incomplete or was changed. Errors for a directory that cannot be read do not
// wrap it.
var ErrCorrupt = errors.New("is corrupt")

// seal writes the manifest of dir and flushes everything to the disk: first the
// files, then the manifest, then the folders that list their names.
func seal(dir string) error {
	var lines []string
	var folders []string
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		switch {
		case err != nil:
			return err
		case e.IsDir():
			folders = append(folders, path)
			return nil
		case name == manifestName:
			return nil // a manifest of a copied directory, which the new one replaces
		case !e.Type().IsRegular():
			return fmt.Errorf("%s is a %s, and only regular files can be checksummed", name, kindOf(e.Type()))
		case strings.ContainsAny(name, "\n\r\\"):
			return fmt.Errorf("the file name %q has a character that a manifest cannot contain", name)
		}
		sum, err := hashAndSync(path)
		lines = append(lines, filepath.ToSlash(name)+"\x00"+sum)
		return err
	})
	if err != nil {
		return err
	}
	// An empty manifest is taken for a damaged one, so none is written.
	if len(lines) == 0 {
		return errors.New("there is no file in it")
	}
	if err := writeManifest(filepath.Join(dir, manifestName), lines); err != nil {
		return err
	}
	// The innermost folders come first, so that no folder on disk lists a
	// folder that is not there yet.
	for _, folder := range slices.Backward(folders) {
		if err := SyncDir(folder); err != nil {
			return err
		}
	}
	return nil
}

// IsDir reports whether dir has a manifest, so that [WriteDir] probably wrote
// it.
func IsDir(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, manifestName))
	return err == nil
}

// writeManifest writes and flushes "hash  name" lines, sorted by name, as
// sha256sum(1) prints and checks them. Each element of files is a name, a zero
// byte, which sorts before every other byte, and a hash.
func writeManifest(path string, files []string) error {
	slices.Sort(files)
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, line := range files {
		name, sum, _ := strings.Cut(line, "\x00")
		if _, err := fmt.Fprintf(f, "%s  %s\n", sum, name); err != nil {
			return err
		}
	}
	return f.Sync()
}

// hashAndSync returns the SHA-256 of a file in hex and flushes it.
func hashAndSync(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum, err := hash(f)
	if err != nil {
		return "", err
	}
	return sum, f.Sync()
}

// hash returns the SHA-256 of r in hex.
func hash(r io.Reader) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

var manifestLine = regexp.MustCompile(`^([0-9a-f]{64})  (.+)$`)

// Sealed reports whether dir has a checksum manifest, which [VerifyDir] checks.
func Sealed(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, manifestName))
	return err == nil
}

// VerifyDir checks every file that MANIFEST.sha256 of dir lists. A missing
// manifest, a damaged one, a missing file and a wrong checksum give an error
// that names the file and wraps [ErrCorrupt]. Files that the manifest does not
// list are allowed: a person may leave a note in a checkpoint.
func VerifyDir(dir string) error {
	// os.Root keeps names in the manifest and symbolic links from leading out
	// of dir.
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("checkpoint: verify %s: %w; a checkpoint folder is expected", dir, place.WithoutPath(err))
	}
	defer root.Close()
	corrupt := func(file, format string, args ...any) error {
		return fmt.Errorf("checkpoint: verify %s: %s %w: %s; use an earlier one",
			dir, file, ErrCorrupt, fmt.Sprintf(format, args...))
	}
	text, err := root.ReadFile(manifestName)
	if errors.Is(err, fs.ErrNotExist) {
		return corrupt(manifestName, "it is missing")
	}
	if err != nil {
		return fmt.Errorf("checkpoint: verify %s: %s: %w; a readable file is expected", dir, manifestName,
			place.WithoutPath(err))
	}
	// A manifest without a final newline was cut off and may lack whole lines
	// too.
	body, whole := bytes.CutSuffix(text, []byte("\n"))
	if !whole {
		return corrupt(manifestName, "it is empty or its last line is cut off")
	}
	for i, line := range strings.Split(string(body), "\n") {
		m := manifestLine.FindStringSubmatch(line)
		if m == nil || !filepath.IsLocal(m[2]) {
			return corrupt(fmt.Sprintf("%s:%d", manifestName, i+1), "%q is not a checksum and a file name", line)
		}
		// Opening a pipe that lies in place of a file would wait for its writer
		// for ever.
		info, err := root.Lstat(m[2])
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return corrupt(m[2], "it is missing")
		case err == nil && !info.Mode().IsRegular():
			return corrupt(m[2], "it is a %s", kindOf(info.Mode()))
		}
		sum, err := hashIn(root, m[2])
		if err != nil {
			return fmt.Errorf("checkpoint: verify %s: %s: %w; a readable file is expected", dir, m[2], place.WithoutPath(err))
		}
		if sum != m[1] {
			return corrupt(m[2], "its SHA-256 is %s; the manifest has %s", sum, m[1])
		}
	}
	return nil
}

// Same reports whether the manifests of two directories list the same files
// with the same content. Both manifests must match their directories.
func Same(a, b string) (bool, error) {
	var manifests [2][]byte
	for i, dir := range []string{a, b} {
		if err := VerifyDir(dir); err != nil {
			return false, err
		}
		text, err := os.ReadFile(filepath.Join(dir, manifestName))
		if err != nil {
			return false, fmt.Errorf("checkpoint: compare %s: %w", dir, place.WithoutPath(err))
		}
		manifests[i] = text
	}
	return bytes.Equal(manifests[0], manifests[1]), nil
}

// hashIn hashes the file called name under root.
func hashIn(root *os.Root, name string) (string, error) {
	f, err := root.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return hash(f)
}
