package checkpoint

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
)

// WriteJSON writes v as indented JSON to path. It is for files in a directory
// that WriteDir fills. Errors are those of encoding/json and the file system,
// unchanged.
func WriteJSON(path string, v any) error {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(raw, '\n'), 0o666)
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
