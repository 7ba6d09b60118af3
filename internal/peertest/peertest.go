// Package peertest compares the files of tiny models with those that another program has read, and the logits of their
// forward pass with those that the program has computed from the files.
package peertest

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Check fails unless got is, byte by byte, the file with the given name in testdata, testdata/logits.json has the
// SHA-256 of it, and logits are within tolerance of the logits there. LOR2C_UPDATE=1 writes the file; script then
// writes the logits.
func Check(t *testing.T, name string, got []byte, logits []float32, tolerance float64, script string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("LOR2C_UPDATE") == "1" {
		if err := os.WriteFile(path, got, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the file is not %s (%v); write it with LOR2C_UPDATE=1 and run %s", path, err, script)
	}
	var known map[string]struct {
		SHA256 string
		Logits any // a list, or a list of lists, of numbers
	}
	text, err := os.ReadFile(filepath.Join("testdata", "logits.json"))
	if err == nil {
		err = json.Unmarshal(text, &known)
	}
	if err != nil {
		t.Fatal(err)
	}
	want := known[strings.TrimSuffix(name, filepath.Ext(name))]
	if sum := fmt.Sprintf("%x", sha256.Sum256(got)); sum != want.SHA256 {
		t.Errorf("the file has the SHA-256 %s; the logits are those of %s", sum, want.SHA256)
	}
	if d := apart(logits, numbers(want.Logits)); !(d < tolerance) {
		t.Errorf("the logits are %g from those of the other program", d)
	}
}

// numbers returns the numbers of a list, or of lists of them.
func numbers(list any) (all []float64) {
	switch x := list.(type) {
	case float64:
		return []float64{x}
	case []any:
		for _, item := range x {
			all = append(all, numbers(item)...)
		}
	}
	return all
}

// apart returns the largest difference of two lists, and infinity if their lengths differ.
func apart(a []float32, b []float64) (d float64) {
	if len(a) != len(b) || len(a) == 0 {
		return math.Inf(1)
	}
	for i := range a {
		d = math.Max(d, math.Abs(float64(a[i])-b[i]))
	}
	return d
}
