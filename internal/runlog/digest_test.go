package runlog

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDigest compares the running digest of a log, also after a rewind, with
// the lines of its file.
func TestDigest(t *testing.T) {
	_, jsonl, _ := uninterrupted(t)
	for _, step := range []int{-1, 0, 3, 6, 10} {
		end := 0
		for end < len(jsonl) && step < 10 &&
			!strings.Contains(jsonl[end:end+strings.IndexByte(jsonl[end:], '\n')],
				`"step":`+string(rune('0'+max(step, 0)+1))+",") {
			end += strings.IndexByte(jsonl[end:], '\n') + 1
		}
		if step == 10 {
			end = len(jsonl)
		}
		sum := sha256.Sum256([]byte(jsonl[:end]))
		want := Digest{strings.Count(jsonl[:end], "\n"), hex.EncodeToString(sum[:])}

		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, MetricsFile), []byte(jsonl+"{half"), 0o666); err != nil {
			t.Fatal(err)
		}
		if got, err := DigestOf(dir, step); got != want || err != nil {
			t.Errorf("up to step %d: %v, %v; want %v", step, got, err, want)
		}
		var copied bytes.Buffer
		if err := CopyMetrics(&copied, dir, step); copied.String() != jsonl[:end] || err != nil {
			t.Errorf("up to step %d %d bytes were copied, %v; want %d", step, copied.Len(), err, end)
		}
		o := quiet()
		o.Resume, o.Step = true, step
		r := open(t, dir, o)
		if got := r.Digest(); got != want {
			t.Errorf("opened at step %d: %v; want %v", step, got, want)
		}
		steps(r, max(step, 0)+1, 10)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		sum = sha256.Sum256([]byte(jsonl))
		if got := r.Digest(); got.SHA256 != hex.EncodeToString(sum[:]) || got.Records != strings.Count(jsonl, "\n") {
			t.Errorf("after the last step: %v; want that of the whole file", got)
		}
	}
	if got, err := DigestOf(t.TempDir(), 3); got.Records != 0 || err != nil {
		t.Errorf("without a file: %v, %v", got, err)
	}
}

// FuzzScan: every log is either refused with an error of one line, or read as
// records that have a digest.
func FuzzScan(f *testing.F) {
	for _, name := range []string{"half", "kind", "missing", "unknown", "type", "null", "order", "text", "score"} {
		text, err := os.ReadFile(filepath.Join("testdata/damaged", name+".jsonl"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, 3)
	}
	dir := f.TempDir()
	r, err := Open(dir, quiet())
	if err != nil {
		f.Fatal(err)
	}
	steps(r, 1, 4)
	r.Close()
	text, err := os.ReadFile(filepath.Join(dir, MetricsFile))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text, 2)
	f.Fuzz(func(t *testing.T, text []byte, step int) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, MetricsFile), text, 0o666); err != nil {
			t.Fatal(err)
		}
		_, err := ReadMetrics(dir)
		d, digestErr := DigestOf(dir, step)
		for _, err := range []error{err, digestErr} {
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("the error has a line break: %q", err)
			}
		}
		if err == nil && digestErr != nil {
			t.Errorf("the log reads and has no digest: %v", digestErr)
		}
		if n := bytes.Count(text, []byte("\n")); d.Records > n {
			t.Errorf("%d records in %d lines", d.Records, n)
		}
	})
}
