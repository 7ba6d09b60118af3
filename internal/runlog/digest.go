package runlog

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"path/filepath"

	"github.com/lor2c/lor2c/internal/infile"
)

// Digest describes the records in metrics.jsonl up to a step by their number and the
// SHA-256 of their lines in hexadecimal. A checkpoint stores it, so that a run does not
// continue with a log that was lost or changed.
type Digest struct {
	Records int    `json:"records"`
	SHA256  string `json:"sha256"`
}

// DigestOf returns the digest of the records in dir up to a step. If there is no
// metrics.jsonl, it is the digest of no records.
func DigestOf(dir string, step int) (Digest, error) {
	path := filepath.Join(dir, MetricsFile)
	h := sha256.New()
	records, keep, _, err := scan(path, step)
	if err == nil && keep > 0 {
		err = copyHead(h, path, keep)
	}
	if err != nil {
		return Digest{}, fmt.Errorf("runlog: read metrics: %w", err)
	}
	return digest(len(records), h), nil
}

// CopyMetrics writes the records in dir up to a step to w.
func CopyMetrics(w io.Writer, dir string, step int) error {
	path := filepath.Join(dir, MetricsFile)
	_, keep, _, err := scan(path, step)
	if err == nil && keep > 0 {
		err = copyHead(w, path, keep)
	}
	if err != nil {
		return fmt.Errorf("runlog: copy metrics: %w", err)
	}
	return nil
}

// copyHead writes the first n bytes of a file to w.
func copyHead(w io.Writer, path string, n int64) error {
	f, err := infile.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.CopyN(w, f, n)
	return err
}

func digest(records int, h hash.Hash) Digest {
	return Digest{records, hex.EncodeToString(h.Sum(nil))}
}

// Digest returns the digest of all records logged so far.
func (r *Run) Digest() Digest { return digest(len(r.records), r.sum) }
