//go:build cuda && cgo && linux && amd64

package gpu

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/lor2c/lor2c/internal/gpu/driver"
	"github.com/lor2c/lor2c/kernels"
)

// checked is the result of a self-check, as it is stored in the user's cache directory.
type checked struct {
	// Refused has the names of the kernels that failed.
	Refused []string `json:"refused"`
	// Running is the kernel that ran when the file was written. If it is still set at the next start, that kernel has
	// made the card fail or has not ended.
	Running string `json:"running,omitempty"`
	// Done is true if all kernels have been checked.
	Done bool `json:"done"`
}

// verify makes sure that the kernels of products and attention have passed the self-check on this card, with this
// driver and this binary. It runs the check if the cache has no result of it. LOR2C_SELF_CHECK=0 omits it, and
// LOR2C_SELF_CHECK=1 repeats it.
func (d *Device) verify() error {
	mode := os.Getenv("LOR2C_SELF_CHECK")
	if mode == "0" {
		return nil
	}
	path, err := d.checkFile()
	if err != nil {
		return fmt.Errorf("gpu: self-check: %w", err)
	}
	result := checked{}
	if mode != "1" {
		result = readChecked(path)
	}
	if result.Running != "" {
		result.Refused = append(result.Refused, result.Running)
	}
	for _, kernel := range result.Refused {
		d.refused[kernel] = true
	}
	if result.Done {
		return nil
	}
	err = d.selfCheck(func(kernel string) { checked{Refused: d.Refused(), Running: kernel}.write(path) })
	if err != nil {
		return fmt.Errorf("%w; the next start does not use it", err)
	}
	checked{Refused: d.Refused(), Done: true}.write(path)
	return nil
}

// checkFile returns the file for the result of the self-check, whose name depends on everything that the result
// depends on. It is "" if the user has no cache directory; then every start repeats the check.
func (d *Device) checkFile() (string, error) {
	digest := ""
	for _, target := range kernels.Targets() {
		if target == d.code {
			var err error
			if digest, err = kernels.Digest(target); err != nil {
				return "", err
			}
		}
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", nil
	}
	key := fmt.Sprintf("1 %d %s %s %d.%d %s %s %v", driver.Version(), d.about.Name, d.about.UUID, d.about.Major,
		d.about.Minor, d.code, digest, d.narrow)
	return filepath.Join(dir, "lor2c", "self-check", fmt.Sprintf("%x.json", sha256.Sum256([]byte(key)))), nil
}

// readChecked returns the result in a file, or one that is not done if the file cannot be read.
func readChecked(path string) (r checked) {
	raw, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(raw, &r) != nil {
		return checked{}
	}
	return r
}

// write replaces the file. If that fails the next start repeats the check, so the error is not reported.
func (r checked) write(path string) {
	raw, err := json.Marshal(r)
	if err != nil || path == "" || os.MkdirAll(filepath.Dir(path), 0o777) != nil {
		return
	}
	next := fmt.Sprintf("%s.%d", path, os.Getpid())
	if os.WriteFile(next, raw, 0o666) == nil {
		_ = os.Rename(next, path)
	}
}
