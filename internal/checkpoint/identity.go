package checkpoint

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
)

// Files returns the paths of the open weights files in the order in which they
// were opened. Other files of the folder are not part of the model.
func (m *Model) Files() []string {
	paths := make([]string, len(m.shards))
	for i, f := range m.shards {
		paths[i] = f.path
	}
	return paths
}

// Home returns the path of the file that has the tensor called name, or "" if
// there is no such tensor.
func (m *Model) Home(name string) string {
	if f := m.home[name]; f != nil {
		return f.path
	}
	return ""
}

// SHA256 returns a hash of the content of the model as 64 hexadecimal digits.
// It covers name, type, shape and bytes of every tensor in the order of their
// names. It does not depend on how the tensors are distributed over files, on
// their order in a file, or on metadata.
func (m *Model) SHA256() (string, error) {
	h := sha256.New()
	for _, name := range m.Names() {
		f := m.home[name]
		e, raw, err := f.find(name)
		if err != nil {
			return "", err
		}
		// Names are quoted and end with a line feed, so that different lists of
		// tensors give different texts.
		fmt.Fprintf(h, "%q %s %d\n", name, e.dtype, e.shape)
		if err := f.guard(name, func() error {
			h.Write(raw)
			return nil
		}); err != nil {
			return "", err
		}
		f.Drop(name)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// HashFiles returns the SHA-256 of the concatenated content of files as 64
// hexadecimal digits. Errors are those of the file system, unchanged.
func HashFiles(paths ...string) (string, error) {
	h := sha256.New()
	for _, path := range paths {
		if err := addFile(h, path); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func addFile(w io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}
